/**
 * Models of our own in the cat language, by the names of their files: sequential consistency and TSO, with
 * locks and grace periods as the kernel's primitives have them. They name the annotations of Linux 7.3 and
 * need no bell file. The engine's own SC and TSO (models/global-order.ts) are held against them.
 */

/**
 * What is common to models without weak locks: who may hold a lock, what a failed attempt saw, matching of
 * sections.
 */
const LOCKS = `"Locks"
let released = ([LKW] ; po-loc ; [UL]) \\ (po-loc ; [LKW | UL] ; po-loc)
let forever = LKW \\ domain(released)
let again = po-loc ; [UL] ; po-loc
empty ([LKW] ; po-loc ; [LKR]) \\ again as lock-taken-twice
empty ([LKW] ; po-loc ; [RU]) \\ again as lock-seen-free-while-held
empty ([forever] ; loc ; [forever]) \\ id as lock-held-by-two
flag ~empty UL \\ range(released) as unmatched-unlock

(* A failed attempt saw the section that it is in, or one of another thread. *)
let busy = LF | RL
let inside = ([LKW] ; po-loc ; [busy]) \\ ([LKW] ; po-loc ; [UL] ; po-loc)
let one(p) = p ++ 0
let seen-busy(e) = map one ((LKW * {e}) & loc & ext)
with rf-busy from cross(map seen-busy (busy \\ range(inside)))
let own-last = ([UL] ; po-loc) \\ ([UL] ; po-loc ; [UL] ; po-loc)
let seen-free(e) = map one (((UL * {e}) & own-last) | (((UL | IW) * {e}) & loc & ext))
with rf-free from cross(map seen-free RU)

(* Sections are in some order, those without an end last; the end of one comes right after its start. *)
let held = LKW
let base = co0 | ([IW] ; loc ; [held]) | ((loc & (held * forever)) \\ ([forever] ; loc ; [forever]))
let W = W | held
let seen = ([W] ; (rf? ; po-loc ; (rf^-1)?) ; [W]) \\ id
with co from generate_orders(W, base | seen)
let co = (co | released | (released^-1 ; co))+
let pair = ([LKR] ; po-loc ; [LKW]) \\ (po ; po)
let rmw = rmw | pair
let rf = rf | inside | rf-busy | rf-free | ([IW | UL] ; singlestep(co) ; pair^-1)
let fr = rf^-1 ; co
let R = R | LKR | busy | RU
let W = W | UL
let M = R | W`;

const GRACE = `"Grace periods over a given order"
let rec open-locks = Rcu-lock \\ domain(matched)
and open-unlocks = Rcu-unlock \\ range(matched)
and between = ([open-locks | open-unlocks]) ; po ; ([open-locks | open-unlocks])
and matched = matched | (([open-locks] ; po ; [open-unlocks]) \\ (between ; between))
flag ~empty Rcu-lock \\ domain(matched) as unmatched-rcu-lock
flag ~empty Rcu-unlock \\ range(matched) as unmatched-rcu-unlock
let domains = ([Srcu-lock] ; (data ; [~Srcu-unlock] ; rf)* ; data ; [Srcu-unlock]) & loc
let rsections = matched^-1
let ssections = domains^-1
let rgp = [Sync-rcu]
let sgp = [Sync-srcu]
let link(order) = (po? ; order ; po) | po
let counted(order) =
  let l = link(order) in
  let rec c = rgp | sgp
    | (rgp ; l ; (c ; l)? ; rsections) | (rsections ; l ; (c ; l)? ; rgp)
    | ((sgp ; l ; (c ; l)? ; ssections) & loc) | ((ssections ; l ; (c ; l)? ; sgp) & loc)
    | (c ; l ; c)
  in c ; l`;

const SC = `"SC"
include "locks.cat"
include "grace.cat"
acyclic po-loc | rf | co | fr as coherence
empty rmw & ((fr & ext) ; (co & ext)) as atomic
let order = ([M] ; po ; [M]) | rf | co | fr
acyclic order as sequential-consistency
irreflexive counted([M] ; order* ; [M]) as grace-periods`;

const TSO = `"TSO"
include "locks.cat"
include "grace.cat"
acyclic po-loc | rf | co | fr as coherence
empty rmw & ((fr & ext) ; (co & ext)) as atomic
let full = (F & MB) | After-srcu-read-unlock | Sync-rcu | Sync-srcu | RMW | LKR | LKW
let kept = ([M] ; po ; [M]) \\ (W * R)
let fenced = ([M] ; po? ; [full] ; po? ; [M]) & po
let order = kept | fenced | (rf & ext) | co | fr
acyclic order as global-happens-before
irreflexive counted([M] ; order* ; [M]) as grace-periods`;

export const OWN_MODELS: ReadonlyMap<string, string> = new Map([
  ["locks.cat", LOCKS],
  ["grace.cat", GRACE],
  ["sc.cat", SC],
  ["tso.cat", TSO],
]);
