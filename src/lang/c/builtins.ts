/**
 * What the headers of the package are made of: functions named `__hf_...` that are operations of the IR, and
 * GCC's `__builtin_...` functions, with the types of their arguments and results.
 * What each lowers to is in lower-builtin.ts.
 *
 * Signatures are written as letters: `p` a pointer, whose target is P; `v` a value of P; `i` int; `u`
 * unsigned long; `f` a function; `q` any pointer or integer; `x` anything; `s` a string literal; `.` any
 * number of anything. Behind the colon what it gives: P, i, u, n (nothing), `*` (void pointer), b (_Bool).
 */

/** SV-COMP: functions with such names are one step. */
export const ATOMIC = "__VERIFIER_atomic_";

const SIGNATURES = `
hf_load_plain p:P
hf_load_once p:P
hf_load_acquire p:P
hf_store_plain pv:n
hf_store_once pv:n
hf_store_release pv:n
hf_rmw_add_once pv:P
hf_rmw_add_acquire pv:P
hf_rmw_add_release pv:P
hf_rmw_add_mb pv:P
hf_rmw_add_noreturn pv:P
hf_rmw_and_once pv:P
hf_rmw_and_acquire pv:P
hf_rmw_and_release pv:P
hf_rmw_and_mb pv:P
hf_rmw_and_noreturn pv:P
hf_rmw_or_once pv:P
hf_rmw_or_acquire pv:P
hf_rmw_or_release pv:P
hf_rmw_or_mb pv:P
hf_rmw_or_noreturn pv:P
hf_rmw_xor_once pv:P
hf_rmw_xor_acquire pv:P
hf_rmw_xor_release pv:P
hf_rmw_xor_mb pv:P
hf_rmw_xor_noreturn pv:P
hf_rmw_xchg_once pv:P
hf_rmw_xchg_acquire pv:P
hf_rmw_xchg_release pv:P
hf_rmw_xchg_mb pv:P
hf_cmpxchg_once pvv:P
hf_cmpxchg_acquire pvv:P
hf_cmpxchg_release pvv:P
hf_cmpxchg_mb pvv:P
hf_add_unless_once pvv:P
hf_add_unless_acquire pvv:P
hf_add_unless_release pvv:P
hf_add_unless_mb pvv:P
hf_await_eq pv:P
hf_await_ne pv:P
hf_fence_mb :n
hf_fence_rmb :n
hf_fence_wmb :n
hf_fence_barrier :n
hf_fence_before_atomic :n
hf_fence_after_atomic :n
hf_fence_after_spinlock :n
hf_fence_after_unlock_lock :n
hf_spin_lock p:n
hf_spin_trylock p:i
hf_spin_unlock p:n
hf_spin_is_locked p:i
hf_rcu_read_lock :n
hf_rcu_read_unlock :n
hf_synchronize_rcu :n
hf_call_rcu qf:n
hf_kfree_rcu q:n
hf_local_irq_save :i
hf_local_irq_restore i:n
hf_smp_call_all fq:n
hf_cpu :i
hf_alloc u:*
hf_zalloc u:*
hf_free q:n
hf_choose i:i
hf_assert xss:n
hf_reach s:n
hf_printk s.:n
hf_spawn fq:n
hf_spawn_pthread fq:n
hf_start fq:n
hf_exit_thread q:n
hf_pool u:i
hf_alloc_from i:*
hf_assume i:n
hf_memset piu:n
hf_memcpy ppu:n
hf_thread_name qs:n
hf_build_bug xs:n
`;

export interface BuiltinSpec {
  readonly args: string;
  readonly result: string;
}

export const BUILTINS: ReadonlyMap<string, BuiltinSpec> = new Map(
  SIGNATURES.trim()
    .split("\n")
    .map((line) => {
      const [name, sig] = line.split(" ");
      const [args, result] = sig.split(":");
      return [`__${name}`, { args, result }];
    }),
);
