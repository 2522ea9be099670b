/**
 * What the functions of the get_user_pages and pin_user_pages families refuse before they look at any memory
 * (mm/gup.c): a warning, and an error or nothing taken. To v6.2 each function has checks of its own; from
 * v6.3 (d64e2dbc33a1) all ask is_valid_gup_args(), but some of those that pin return 0 for what it refuses.
 *
 *   refused                          to v6.2                                   v6.3
 *   FOLL_PIN                         get_user_pages(), _remote, _fast          all
 *   FOLL_GET                         pin family                                pin family
 *   FOLL_LONGTERM                    get family but _fast_only; all _unlocked  get family
 *   FOLL_LONGTERM|FOLL_PCI_P2PDMA    (v6.2: when an area is looked at)         all
 *   TOUCH, TRIED, REMOTE, FAST_ONLY  TOUCH, TRIED, REMOTE: _fast, _fast_only   all
 *   no array of pages                pin family, from v5.19 on                 pin family, and with FOLL_GET
 *   any other flag                   _fast, _fast_only                         _fast, _fast_only
 *
 *   the answer is                    -EINVAL; 0: _fast_only                    -EINVAL; 0: pin_user_pages(),
 *                                                                              _remote, _unlocked
 *
 * Not covered: FOLL_NOFAULT is taken for known also before v5.16.
 */
"use kernel";

import { config } from "../machine/config.ts";
import { GUP_ARGS_COMMON, P2PDMA_V6_2 } from "../machine/knobs/mm.ts";
import { assert } from "../machine/primitives.ts";
import { EINVAL } from "./errno.ts";
import {
  FOLL_FAST_ONLY,
  FOLL_FORCE,
  FOLL_GET,
  FOLL_LONGTERM,
  FOLL_NOFAULT,
  FOLL_PCI_P2PDMA,
  FOLL_PIN,
  FOLL_REMOTE,
  FOLL_TOUCH,
  FOLL_TRIED,
  FOLL_UNLOCKABLE,
  FOLL_WRITE,
} from "./gup_flags.ts";

// The functions, as far as their checks differ.
export const GUP_LOCKED = 0;
export const GUP_UNLOCKED = 1;
export const GUP_FAST = 2;
export const GUP_FAST_ONLY = 3;

/** The arguments may be. */
export const GUP_ARGS_VALID = 1;

/** What the fast functions know. */
function fast_flags_known(flags: number): boolean {
  let known = FOLL_WRITE | FOLL_LONGTERM | FOLL_FORCE | FOLL_PIN | FOLL_GET | FOLL_FAST_ONLY | FOLL_NOFAULT;
  if (config.pciP2pdma) known |= FOLL_PCI_P2PDMA;
  return (flags & ~known) === 0;
}

/** The checks to v6.2. */
function valid_before(entry: number, flags: number, pin: boolean): boolean {
  if (entry === GUP_UNLOCKED && (flags & FOLL_LONGTERM) !== 0) return false;
  if (pin) {
    if ((flags & FOLL_GET) !== 0) return false;
    // is_valid_gup_flags(), which get_user_pages_unlocked() and _fast_only() do without: with FOLL_PIN the
    // former pins.
  } else if ((entry === GUP_LOCKED || entry === GUP_FAST) && (flags & (FOLL_PIN | FOLL_LONGTERM)) !== 0)
    return false;
  return entry < GUP_FAST || fast_flags_known(flags);
}
/** is_valid_gup_args(). */
function is_valid_gup_args(entry: number, flags: number, pin: boolean): boolean {
  const internal = FOLL_TOUCH | FOLL_TRIED | FOLL_REMOTE | FOLL_PIN | FOLL_FAST_ONLY | FOLL_UNLOCKABLE;
  if ((flags & internal) !== 0) return false;
  if (pin && (flags & FOLL_GET) !== 0) return false;
  if (!pin && (flags & FOLL_LONGTERM) !== 0) return false;
  // "We want to allow the pgmap to be hot-unplugged at all times."
  const p2p = FOLL_LONGTERM | FOLL_PCI_P2PDMA;
  if (config.pciP2pdma > P2PDMA_V6_2 && (flags & p2p) === p2p) return false;
  return entry < GUP_FAST || fast_flags_known(flags);
}

/** What a function (GUP_*) answers to arguments that it refuses. `pin`: it is of the pin family. */
export function gup_args_refused(entry: number, pin: boolean): number {
  if (config.gupArgs === GUP_ARGS_COMMON) return pin && entry < GUP_FAST ? 0 : -EINVAL;
  return entry === GUP_FAST_ONLY ? 0 : -EINVAL;
}
/**
 * "Pages input must be given if using GET/PIN"; before that was a rule, doing otherwise was a bug of the
 * kernel's own.
 */
export function gup_needs_pages(flags: number, pin: boolean): boolean {
  const get = (flags & FOLL_GET) !== 0;
  if (config.gupArgs === GUP_ARGS_COMMON) return pin || get;
  // VM_BUG_ON(!!pages != !!(gup_flags & (FOLL_GET | FOLL_PIN)))
  assert(!get && (!pin || config.gupArgs !== 0), "pages are taken that nobody can give back");
  return pin;
}
/** GUP_ARGS_VALID, or what the function returns. */
export function check_gup_args(entry: number, flags: number, pin: boolean): number {
  const valid =
    config.gupArgs === GUP_ARGS_COMMON
      ? is_valid_gup_args(entry, flags, pin)
      : valid_before(entry, flags, pin);
  return valid ? GUP_ARGS_VALID : gup_args_refused(entry, pin);
}
