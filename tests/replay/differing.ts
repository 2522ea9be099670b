/**
 * Recorded sequences that our memory does not do as the kernel did, by kernel and family, in their order; why
 * stands in docs/status-replay.md. The list is exact: what agrees is not on it.
 */

export const DIFFERING: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {};
