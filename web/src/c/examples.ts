/** Programs to begin with, from the package's own tests. */

import refcountHolds from "../../../tests/c/holds/refcount-rcu.c?raw";
import kfree from "../../../tests/c/violated/kfree-without-grace-period.c?raw";
import kref from "../../../tests/c/violated/kref-get-after-lookup.c?raw";
import refcount from "../../../tests/c/violated/refcount-inc.c?raw";
import storeBuffer from "../../../tests/c/violated/store-buffer.c?raw";
import wakeUp from "../../../tests/c/violated/wake-up-without-barrier.c?raw";

export const EXAMPLES: readonly { readonly title: string; readonly text: string }[] = [
  { title: "refcount_inc() after a look-up under RCU", text: refcount },
  { title: "the same with refcount_inc_not_zero()", text: refcountHolds },
  { title: "kfree() without a grace period", text: kfree },
  { title: "kref_get() after the last put", text: kref },
  { title: "store buffering", text: storeBuffer },
  { title: "wake-up without a barrier", text: wakeUp },
];
