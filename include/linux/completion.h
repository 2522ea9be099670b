/*
 * Completions (include/linux/completion.h). A complete() touches the object once, so one on a stack may end
 * as soon as its waiter has returned.
 */
#pragma once
#include <linux/types.h>
#include <linux/compiler.h>
#include <linux/context.h>
#include <linux/jiffies.h>

/* How many waiters may pass; COMPLETION_ALL: everyone. */
struct completion { unsigned int done; };
#define COMPLETION_ALL 0x7fffffffu
#define COMPLETION_INITIALIZER(work) { 0 }
#define COMPLETION_INITIALIZER_ONSTACK(work) { 0 }
#define DECLARE_COMPLETION(work) struct completion work = COMPLETION_INITIALIZER(work)
#define DECLARE_COMPLETION_ONSTACK(work) struct completion work = COMPLETION_INITIALIZER(work)

static inline void init_completion(struct completion *x)
{
	WRITE_ONCE(x->done, 0);
}
static inline void reinit_completion(struct completion *x)
{
	WRITE_ONCE(x->done, 0);
}
static inline void complete(struct completion *x)
{
	(void)__hf_add_unless_release(&x->done, 1, COMPLETION_ALL);
}
static inline void complete_all(struct completion *x)
{
	__hf_store_release(&x->done, COMPLETION_ALL);
}
static inline bool try_wait_for_completion(struct completion *x)
{
	unsigned int done = __hf_load_acquire(&x->done);

	while (done && done != COMPLETION_ALL) {
		unsigned int seen = __hf_cmpxchg_acquire(&x->done, done, done - 1);

		if (seen == done)
			return true;
		done = seen;
	}
	return done != 0;
}
static inline bool completion_done(struct completion *x)
{
	return __hf_load_once(&x->done) != 0;
}
static inline void wait_for_completion(struct completion *x)
{
	might_sleep();
	do
		(void)__hf_await_ne(&x->done, 0);
	while (!try_wait_for_completion(x));
}
/* No signals come. */
#define wait_for_completion_interruptible(x) ({ wait_for_completion(x); 0; })
#define wait_for_completion_killable(x) ({ wait_for_completion(x); 0; })
#define wait_for_completion_io(x) wait_for_completion(x)
/* The time may be over at any moment: then it gives 0. */
static inline unsigned long wait_for_completion_timeout(struct completion *x, unsigned long timeout)
{
	might_sleep();
	return try_wait_for_completion(x) ? 1 : 0;
}
#define wait_for_completion_interruptible_timeout(x, timeout) ((long)wait_for_completion_timeout(x, timeout))
