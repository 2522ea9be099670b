/**
 * When the watchdog may speak of a deadlock: on control words set by hand, so that moments which threads pass
 * through in microseconds can be held still.
 */

import { describe, expect, test, vi } from "vitest";
import { barrier } from "../../src/smp/barrier.ts";
import {
  ARRIVED,
  CALLBACK_EPOCH,
  CALLBACK_MAY_RUN,
  CALLBACKS,
  cpuBase,
  EPOCH,
  IRQ,
  newControl,
  PHASE,
  PHASE_FINISHED,
  PHASE_RUNNING,
  PHASE_WAITING,
  RCU,
  WAIT_GRACE_PERIOD,
  WAIT_IPI,
  WAIT_KIND,
  WAIT_ON,
  WAIT_SEEN,
  WAIT_WORD,
} from "../../src/smp/control.ts";
import { isDeadlocked, type Watched } from "../../src/smp/watchdog.ts";

const WORD = 100;

function machine(cpus: number): Watched & { set: (cpu: number, word: number, value: number) => void } {
  const ctl = newControl(cpus);
  const words = new Int32Array(new SharedArrayBuffer(512));
  return {
    ctl,
    words,
    symbols: [],
    threads: Array.from({ length: cpus }, (_, i) => `t${i}`),
    irqOffIsReader: true,
    set: (cpu, word, value) => {
      ctl[cpuBase(cpu) + word] = value;
    },
  };
}

function wait(m: ReturnType<typeof machine>, cpu: number, kind: number, on: number, seen: number): void {
  m.set(cpu, WAIT_KIND, kind);
  m.set(cpu, WAIT_ON, on);
  m.set(cpu, WAIT_SEEN, seen);
  m.set(cpu, PHASE, PHASE_WAITING);
}

describe("a CPU that waits for a word", () => {
  test("is deadlocked when everybody else has finished and the word is as it was", () => {
    const m = machine(2);
    wait(m, 0, WAIT_WORD, WORD, 0);
    m.set(1, PHASE, PHASE_FINISHED);
    expect(isDeadlocked(m)).toBe(true);
  });
  test("is not when the word has changed, though it sleeps still", () => {
    const m = machine(2);
    wait(m, 0, WAIT_WORD, WORD, 0);
    m.set(1, PHASE, PHASE_FINISHED);
    m.words[WORD] = 1;
    expect(isDeadlocked(m)).toBe(false);
  });
  test("is not while somebody runs", () => {
    const m = machine(2);
    wait(m, 0, WAIT_WORD, WORD, 0);
    m.set(1, PHASE, PHASE_RUNNING);
    expect(isDeadlocked(m)).toBe(false);
  });
  test("is not when a callback of somebody's may run", () => {
    const m = machine(2);
    wait(m, 0, WAIT_WORD, WORD, 0);
    m.set(0, CALLBACKS, 1);
    m.set(0, CALLBACK_MAY_RUN, 1);
    m.set(0, CALLBACK_EPOCH, 2);
    m.set(1, PHASE, PHASE_FINISHED);
    expect(isDeadlocked(m)).toBe(false);
    // ... unless a reader that is there for ever holds up its grace period.
    m.set(1, RCU, 1);
    wait(m, 1, WAIT_WORD, WORD, 0);
    expect(isDeadlocked(m)).toBe(true);
  });
});

describe("a CPU that is released while the watchdog looks", () => {
  /**
   * What isDeadlocked() says if the other CPU releases the waiting one and ends just before its nth look at a
   * word.
   */
  function saysAfterRelease(n: number): { deadlocked: boolean; looks: number } {
    const m = machine(2);
    wait(m, 0, WAIT_WORD, WORD, 3);
    m.words[WORD] = 3;
    m.set(1, PHASE, PHASE_RUNNING);
    const load = Atomics.load;
    let looks = 0;
    const spy = vi.spyOn(Atomics, "load").mockImplementation(((words: Int32Array, i: number) => {
      if (looks++ === n) {
        m.words[WORD] = 4;
        m.set(1, PHASE, PHASE_FINISHED);
      }
      return load(words, i);
    }) as typeof Atomics.load);
    try {
      return { deadlocked: isDeadlocked(m), looks };
    } finally {
      spy.mockRestore();
    }
  }
  test("is not deadlocked, at whichever of its looks the release falls", () => {
    for (let n = 0; ; n++) {
      const { deadlocked, looks } = saysAfterRelease(n);
      expect(deadlocked, `released before look ${n}`).toBe(false);
      if (looks <= n) break;
    }
  });
});

describe("other waits", () => {
  test("a grace period waits for a section that began before it, not for one that began later", () => {
    const m = machine(2);
    m.ctl[EPOCH] = 5;
    wait(m, 0, WAIT_GRACE_PERIOD, 1, 5);
    wait(m, 1, WAIT_WORD, WORD, 0);
    m.set(1, RCU, 4);
    expect(isDeadlocked(m)).toBe(true);
    m.set(1, RCU, 5);
    expect(isDeadlocked(m)).toBe(false);
    m.set(1, RCU, 0);
    m.set(1, IRQ, (4 << 1) | 1);
    expect(isDeadlocked(m)).toBe(true);
  });
  test("an IPI waits while its target has interrupts off", () => {
    const m = machine(2);
    wait(m, 0, WAIT_IPI, 1, 3);
    wait(m, 1, WAIT_WORD, WORD, 0);
    m.set(1, IRQ, 3);
    expect(isDeadlocked(m)).toBe(true);
    m.set(1, IRQ, 0);
    expect(isDeadlocked(m)).toBe(false);
  });
  test("nobody waits: no deadlock, finished or not", () => {
    const m = machine(2);
    m.set(0, PHASE, PHASE_FINISHED);
    m.set(1, PHASE, PHASE_FINISHED);
    expect(isDeadlocked(m)).toBe(false);
  });
});

describe("the barrier", () => {
  test("whoever still sleeps when it opens has not finished the iteration that begins", () => {
    const m = machine(3);
    for (const cpu of [0, 1]) m.set(cpu, PHASE, PHASE_FINISHED);
    m.ctl[ARRIVED] = 2;
    let alone = false;
    expect(
      barrier(m.ctl, 2, 3, 0, () => {
        alone = true;
        expect(m.ctl[cpuBase(0) + PHASE]).toBe(PHASE_FINISHED);
      }),
    ).toBe(true);
    expect(alone).toBe(true);
    wait(m, 2, WAIT_WORD, WORD, 0);
    expect(isDeadlocked(m)).toBe(false);
  });
});
