/**
 * What a checker may find wrong with a program: one closed list for every engine. Each kind is a property
 * that is checked at every step of every execution, or at its end; the title is what a person reads.
 */

export const ERROR_KINDS = {
  assertion: "an assertion failed",
  unreachable: "code that must not be reached was reached",
  "use-after-free": "freed memory was touched",
  "double-free": "an object was freed twice",
  "bad-free": "something that is no live object was freed",
  "bad-address": "an address outside memory was touched",
  "refcount-underflow": "a count went below what it may",
  "refcount-overflow": "a count went above what it may",
  "refcount-zero": "a reference was taken to what has none left",
  undefined: "something happened that C gives no meaning",
  bound: "a limit of the model was reached",
  "sleep-in-atomic": "something that may sleep was called where sleeping is not allowed",
  "rcu-usage": "RCU was used in a way that its rules forbid",
  "irq-state": "interrupts are on or off where they must not be",
  "list-corruption": "a list's pointers do not fit together",
  "bad-call": "a pointer was called that is no function",
  leak: "something was not given back",
  deadlock: "nobody can go on",
  "lock-order": "locks are taken in an order that can deadlock",
  livelock: "a fair run never gets anywhere",
  "bad-unlock": "a lock, irq-off or RCU section ended wrongly",
  "out-of-bounds": "an access went out of the bounds of what it is to",
  "bad-choice": "choose() was given nothing to choose from",
  "endless-local-loop": "a loop that touches nothing shared does not end",
} as const;

export type ErrorKind = keyof typeof ERROR_KINDS;

export interface FoundError {
  readonly kind: ErrorKind;
  readonly message: string;
  /** Thread in whose step it was found, or "" for a deadlock. */
  readonly thread: string;
  /** Word address concerned; 0 if none. */
  readonly addr: number;
}
