/*
 * What lockdep lets code state about locks (include/linux/lockdep.h). Deadlocks are found by running into
 * them: a circle in the order of locks that no run can close is not reported.
 */
#pragma once
#include <linux/compiler.h>
#include <linux/context.h>

struct lock_class_key { };
struct lockdep_map { };
/* A lock's first word is 1 + the CPU that holds it, 0 if nobody does. */
#define __hf_lock_owned(lock) (__hf_load_once((int *)(lock)) == 1 + __hf_cpu())
#define lockdep_is_held(lock) __hf_lock_owned(lock)
#define lockdep_is_held_type(lock, r) __hf_lock_owned(lock)
#define lockdep_assert_held(lock) \
	__hf_assert(__hf_lock_owned(lock), "assertion", "lockdep_assert_held(" #lock "): this thread does not hold it")
#define lockdep_assert_held_write(lock) lockdep_assert_held(lock)
#define lockdep_assert_held_once(lock) lockdep_assert_held(lock)
#define lockdep_assert_not_held(lock) \
	__hf_assert(!__hf_lock_owned(lock), "assertion", "lockdep_assert_not_held(" #lock "): this thread holds it")
#define lockdep_set_class(lock, key) ((void)0)
#define lockdep_register_key(key) ((void)0)
#define lockdep_unregister_key(key) ((void)0)
#define SINGLE_DEPTH_NESTING 1
