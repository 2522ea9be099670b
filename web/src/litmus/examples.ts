/** Tests to begin with, from the package's own suite: the shapes that every paper names. */

import twoTwoW from "../../../tests/litmus/suite/2+2W+po+po.litmus?raw";
import irMb from "../../../tests/litmus/suite/IRIW+mb.litmus?raw";
import lb from "../../../tests/litmus/suite/LB+data+po.litmus?raw";
import rcu from "../../../tests/litmus/suite/LB+gp+section.litmus?raw";
import mp from "../../../tests/litmus/suite/MP+po+po.litmus?raw";
import mpRelAcq from "../../../tests/litmus/suite/MP+rel+acq.litmus?raw";
import mpFixed from "../../../tests/litmus/suite/MP+wmb+rmb.litmus?raw";
import sbMb from "../../../tests/litmus/suite/SB+mb+mb.litmus?raw";
import sb from "../../../tests/litmus/suite/SB+po+po.litmus?raw";

export const EXAMPLES: readonly { readonly title: string; readonly text: string }[] = [
  { title: "Message passing, nothing ordered", text: mp },
  { title: "Message passing, smp_wmb and smp_rmb", text: mpFixed },
  { title: "Message passing, release and acquire", text: mpRelAcq },
  { title: "Store buffering", text: sb },
  { title: "Store buffering, smp_mb", text: sbMb },
  { title: "Load buffering, one data dependency", text: lb },
  { title: "Two writers each, no order", text: twoTwoW },
  { title: "Independent reads of independent writes, smp_mb", text: irMb },
  { title: "RCU: a section against a grace period", text: rcu },
];
