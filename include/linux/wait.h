/*
 * Wait queues (include/linux/wait.h, kernel/sched/wait.c): who waits puts himself into the list, sets his
 * state, looks at his condition and sleeps; who makes it true wakes those in the list.
 */
#pragma once
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/sched.h>
#include <linux/bitops.h>

#define WQ_FLAG_EXCLUSIVE 0x01
#define WQ_FLAG_AUTOREMOVE 0x100

struct wait_queue_entry {
	unsigned int flags;
	void *private;
	struct list_head entry;
};
typedef struct wait_queue_entry wait_queue_entry_t;
struct wait_queue_head {
	spinlock_t lock;
	struct list_head head;
};
typedef struct wait_queue_head wait_queue_head_t;
#define swait_queue_head wait_queue_head

#define __WAIT_QUEUE_HEAD_INITIALIZER(name) { { 0 }, { &(name).head, &(name).head } }
#define DECLARE_WAIT_QUEUE_HEAD(name) struct wait_queue_head name = __WAIT_QUEUE_HEAD_INITIALIZER(name)
#define DECLARE_WAIT_QUEUE_HEAD_ONSTACK(name) DECLARE_WAIT_QUEUE_HEAD(name)
#define DEFINE_WAIT(name) \
	struct wait_queue_entry name = { WQ_FLAG_AUTOREMOVE, current, { &(name).entry, &(name).entry } }
#define DECLARE_WAITQUEUE(name, tsk) struct wait_queue_entry name = { 0, tsk, { NULL, NULL } }

static inline void init_waitqueue_head(struct wait_queue_head *wq)
{
	spin_lock_init(&wq->lock);
	INIT_LIST_HEAD(&wq->head);
}
static inline void init_waitqueue_entry(struct wait_queue_entry *e, struct task_struct *p)
{
	e->flags = 0;
	e->private = p;
}
static inline void init_wait_entry(struct wait_queue_entry *e, int flags)
{
	e->flags = flags | WQ_FLAG_AUTOREMOVE;
	e->private = current;
	INIT_LIST_HEAD(&e->entry);
}
#define init_wait(e) init_wait_entry(e, 0)

static inline void add_wait_queue(struct wait_queue_head *wq, struct wait_queue_entry *e)
{
	e->flags &= ~WQ_FLAG_EXCLUSIVE;
	spin_lock(&wq->lock);
	list_add(&e->entry, &wq->head);
	spin_unlock(&wq->lock);
}
static inline void add_wait_queue_exclusive(struct wait_queue_head *wq, struct wait_queue_entry *e)
{
	e->flags |= WQ_FLAG_EXCLUSIVE;
	spin_lock(&wq->lock);
	list_add_tail(&e->entry, &wq->head);
	spin_unlock(&wq->lock);
}
static inline void remove_wait_queue(struct wait_queue_head *wq, struct wait_queue_entry *e)
{
	spin_lock(&wq->lock);
	list_del(&e->entry);
	spin_unlock(&wq->lock);
}
static inline void prepare_to_wait(struct wait_queue_head *wq, struct wait_queue_entry *e, int state)
{
	e->flags &= ~WQ_FLAG_EXCLUSIVE;
	spin_lock(&wq->lock);
	if (list_empty(&e->entry))
		list_add(&e->entry, &wq->head);
	set_current_state(state);
	spin_unlock(&wq->lock);
}
static inline void prepare_to_wait_exclusive(struct wait_queue_head *wq, struct wait_queue_entry *e, int state)
{
	e->flags |= WQ_FLAG_EXCLUSIVE;
	spin_lock(&wq->lock);
	if (list_empty(&e->entry))
		list_add_tail(&e->entry, &wq->head);
	set_current_state(state);
	spin_unlock(&wq->lock);
}
/* Whoever wakes takes an entry out himself, so the list must be looked at only if it is still in there. */
static inline void finish_wait(struct wait_queue_head *wq, struct wait_queue_entry *e)
{
	__set_current_state(TASK_RUNNING);
	if (!list_empty_careful(&e->entry)) {
		spin_lock(&wq->lock);
		list_del_init(&e->entry);
		spin_unlock(&wq->lock);
	}
}
/* Wakes all that are not exclusive, and `nr` that are (0: all). The caller holds the lock. */
static inline void __wake_up_common(struct wait_queue_head *wq, unsigned int mode, int nr)
{
	struct wait_queue_entry *curr, *next;

	list_for_each_entry_safe(curr, next, &wq->head, entry) {
		unsigned int flags = curr->flags;

		if (!try_to_wake_up(curr->private, mode))
			continue;
		if (flags & WQ_FLAG_AUTOREMOVE)
			list_del_init_careful(&curr->entry);
		if ((flags & WQ_FLAG_EXCLUSIVE) && !--nr)
			break;
	}
}
static inline void __wake_up(struct wait_queue_head *wq, unsigned int mode, int nr)
{
	spin_lock(&wq->lock);
	__wake_up_common(wq, mode, nr);
	spin_unlock(&wq->lock);
}
#define wake_up(x) __wake_up(x, TASK_NORMAL, 1)
#define wake_up_nr(x, nr) __wake_up(x, TASK_NORMAL, nr)
#define wake_up_all(x) __wake_up(x, TASK_NORMAL, 0)
#define wake_up_locked(x) __wake_up_common(x, TASK_NORMAL, 1)
#define wake_up_all_locked(x) __wake_up_common(x, TASK_NORMAL, 0)
#define wake_up_interruptible(x) __wake_up(x, TASK_INTERRUPTIBLE, 1)
#define wake_up_interruptible_nr(x, nr) __wake_up(x, TASK_INTERRUPTIBLE, nr)
#define wake_up_interruptible_all(x) __wake_up(x, TASK_INTERRUPTIBLE, 0)
#define wake_up_interruptible_sync(x) __wake_up(x, TASK_INTERRUPTIBLE, 1)
#define wake_up_sync(x) __wake_up(x, TASK_NORMAL, 1)
#define wake_up_poll(x, mask) __wake_up(x, TASK_NORMAL, 1)

/* Whether somebody waits: only behind a full barrier, or with the lock held. */
static inline int waitqueue_active(struct wait_queue_head *wq)
{
	return !list_empty(&wq->head);
}
static inline bool wq_has_sleeper(struct wait_queue_head *wq)
{
	smp_mb();
	return waitqueue_active(wq);
}

#define ___wait_event(wq, condition, state, exclusive, cmd) \
	do { \
		struct wait_queue_entry __wqe; \
		init_wait_entry(&__wqe, 0); \
		for (;;) { \
			if (exclusive) \
				prepare_to_wait_exclusive(&(wq), &__wqe, state); \
			else \
				prepare_to_wait(&(wq), &__wqe, state); \
			if (condition) \
				break; \
			cmd; \
		} \
		finish_wait(&(wq), &__wqe); \
	} while (0)
#define wait_event(wq, condition) \
	do { \
		might_sleep(); \
		if (condition) \
			break; \
		___wait_event(wq, condition, TASK_UNINTERRUPTIBLE, 0, schedule()); \
	} while (0)
#define io_wait_event(wq, condition) wait_event(wq, condition)
#define wait_event_idle(wq, condition) wait_event(wq, condition)
/* No signals come: these give 0. */
#define __wait_event_result(wq, condition, state, exclusive) \
	({ \
		might_sleep(); \
		if (!(condition)) \
			___wait_event(wq, condition, state, exclusive, schedule()); \
		0; \
	})
#define wait_event_interruptible(wq, condition) __wait_event_result(wq, condition, TASK_INTERRUPTIBLE, 0)
#define wait_event_killable(wq, condition) __wait_event_result(wq, condition, TASK_KILLABLE, 0)
#define wait_event_freezable(wq, condition) __wait_event_result(wq, condition, TASK_INTERRUPTIBLE, 0)
#define wait_event_interruptible_exclusive(wq, condition) \
	__wait_event_result(wq, condition, TASK_INTERRUPTIBLE, 1)
#define wait_event_killable_exclusive(wq, condition) __wait_event_result(wq, condition, TASK_KILLABLE, 1)
#define wait_event_exclusive_cmd(wq, condition, cmd1, cmd2) \
	do { \
		if (condition) \
			break; \
		___wait_event(wq, condition, TASK_UNINTERRUPTIBLE, 1, ({ cmd1; schedule(); cmd2; })); \
	} while (0)
#define wait_event_cmd(wq, condition, cmd1, cmd2) \
	do { \
		if (condition) \
			break; \
		___wait_event(wq, condition, TASK_UNINTERRUPTIBLE, 0, ({ cmd1; schedule(); cmd2; })); \
	} while (0)
#define wait_event_lock_irq(wq, condition, lock) \
	wait_event_cmd(wq, condition, spin_unlock_irq(&(lock)), spin_lock_irq(&(lock)))
#define wait_event_lock_irq_cmd(wq, condition, lock, cmd) \
	wait_event_cmd(wq, condition, ({ spin_unlock_irq(&(lock)); cmd; }), spin_lock_irq(&(lock)))
/* The time may be over at any moment: one look at the condition is all that can be relied on. */
#define wait_event_timeout(wq, condition, timeout) ({ might_sleep(); (condition) ? 1L : 0L; })
#define wait_event_interruptible_timeout(wq, condition, timeout) wait_event_timeout(wq, condition, timeout)
#define wait_event_killable_timeout(wq, condition, timeout) wait_event_timeout(wq, condition, timeout)

/* Waiting for a bit or a variable (include/linux/wait_bit.h): one queue for all of them. */
static DECLARE_WAIT_QUEUE_HEAD(__hf_bit_wait);
#define wait_on_bit(word, bit, mode) \
	({ wait_event(__hf_bit_wait, !(READ_ONCE(*(word)) & (1UL << (bit)))); 0; })
#define wait_var_event(var, condition) wait_event(__hf_bit_wait, condition)
/* As in the kernel, the caller sees to a full barrier between his change and this look. */
#define wake_up_bit(word, bit) \
	do { \
		(void)(word); \
		if (waitqueue_active(&__hf_bit_wait)) \
			wake_up_all(&__hf_bit_wait); \
	} while (0)
#define wake_up_var(var) wake_up_bit(var, 0)
#define clear_and_wake_up_bit(bit, word) \
	do { \
		clear_bit_unlock(bit, word); \
		smp_mb__after_atomic(); \
		wake_up_bit(word, bit); \
	} while (0)
