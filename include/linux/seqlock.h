/*
 * Sequence counters: a reader tries again if the counter was odd or has changed (include/linux/seqlock.h).
 */
#pragma once
#include <linux/types.h>
#include <linux/compiler.h>
#include <linux/spinlock.h>

typedef struct seqcount { unsigned int sequence; } seqcount_t;
typedef seqcount_t seqcount_spinlock_t, seqcount_raw_spinlock_t, seqcount_mutex_t, seqcount_rwlock_t, seqcount_latch_t;
#define SEQCNT_ZERO(name) { 0 }
#define SEQCNT_SPINLOCK_ZERO(name, lock) { 0 }
#define SEQCNT_MUTEX_ZERO(name, lock) { 0 }

#define seqcount_init(s) ((void)((s)->sequence = 0))
#define seqcount_spinlock_init(s, lock) seqcount_init(s)
#define seqcount_mutex_init(s, lock) seqcount_init(s)

/* The counter once it is even; reads behind this are at least as new. */
static inline unsigned int __read_seqcount_begin(const seqcount_t *s)
{
	unsigned int seq;

	while ((seq = READ_ONCE(s->sequence)) & 1)
		cpu_relax();
	return seq;
}
static inline unsigned int raw_read_seqcount_begin(const seqcount_t *s)
{
	unsigned int seq = __read_seqcount_begin(s);

	smp_rmb();
	return seq;
}
#define read_seqcount_begin(s) raw_read_seqcount_begin(s)
static inline unsigned int raw_read_seqcount(const seqcount_t *s)
{
	unsigned int seq = READ_ONCE(s->sequence);

	smp_rmb();
	return seq;
}
static inline unsigned int raw_seqcount_begin(const seqcount_t *s)
{
	return raw_read_seqcount(s) & ~1u;
}
static inline int __read_seqcount_retry(const seqcount_t *s, unsigned int start)
{
	return READ_ONCE(s->sequence) != start;
}
/* Whether what was read since may be torn. */
static inline int read_seqcount_retry(const seqcount_t *s, unsigned int start)
{
	smp_rmb();
	return __read_seqcount_retry(s, start);
}
/* Writers exclude each other by other means. */
static inline void raw_write_seqcount_begin(seqcount_t *s)
{
	WRITE_ONCE(s->sequence, s->sequence + 1);
	smp_wmb();
}
static inline void raw_write_seqcount_end(seqcount_t *s)
{
	smp_wmb();
	WRITE_ONCE(s->sequence, s->sequence + 1);
}
static inline void write_seqcount_begin(seqcount_t *s)
{
	__hf_preempt_count++;
	raw_write_seqcount_begin(s);
}
static inline void write_seqcount_end(seqcount_t *s)
{
	raw_write_seqcount_end(s);
	__hf_preempt_count--;
}
static inline void write_seqcount_invalidate(seqcount_t *s)
{
	smp_wmb();
	WRITE_ONCE(s->sequence, s->sequence + 2);
}
static inline void raw_write_seqcount_barrier(seqcount_t *s)
{
	WRITE_ONCE(s->sequence, s->sequence + 1);
	smp_wmb();
	WRITE_ONCE(s->sequence, s->sequence + 1);
}

typedef struct { seqcount_t seqcount; spinlock_t lock; } seqlock_t;
#define __SEQLOCK_UNLOCKED(name) { { 0 }, { 0 } }
#define DEFINE_SEQLOCK(name) seqlock_t name = __SEQLOCK_UNLOCKED(name)
static inline void seqlock_init(seqlock_t *sl)
{
	sl->seqcount.sequence = 0;
	spin_lock_init(&sl->lock);
}
static inline unsigned int read_seqbegin(const seqlock_t *sl)
{
	return read_seqcount_begin(&sl->seqcount);
}
static inline unsigned int read_seqretry(const seqlock_t *sl, unsigned int start)
{
	return read_seqcount_retry(&sl->seqcount, start);
}
static inline void write_seqlock(seqlock_t *sl)
{
	spin_lock(&sl->lock);
	raw_write_seqcount_begin(&sl->seqcount);
}
static inline void write_sequnlock(seqlock_t *sl)
{
	raw_write_seqcount_end(&sl->seqcount);
	spin_unlock(&sl->lock);
}
#define write_seqlock_irqsave(sl, flags) do { local_irq_save(flags); write_seqlock(sl); } while (0)
#define write_sequnlock_irqrestore(sl, flags) do { write_sequnlock(sl); local_irq_restore(flags); } while (0)
#define write_seqlock_bh(sl) do { __hf_bh_count++; write_seqlock(sl); } while (0)
#define write_sequnlock_bh(sl) do { write_sequnlock(sl); __hf_bh_count--; } while (0)
#define write_seqlock_irq(sl) do { local_irq_disable(); write_seqlock(sl); } while (0)
#define write_sequnlock_irq(sl) do { write_sequnlock(sl); local_irq_enable(); } while (0)
static inline void read_seqlock_excl(seqlock_t *sl)
{
	spin_lock(&sl->lock);
}
static inline void read_sequnlock_excl(seqlock_t *sl)
{
	spin_unlock(&sl->lock);
}
/* Begins as a reader without a lock (even), or with it (odd). */
static inline void read_seqbegin_or_lock(seqlock_t *lock, int *seq)
{
	if (!(*seq & 1))
		*seq = read_seqbegin(lock);
	else
		read_seqlock_excl(lock);
}
static inline int need_seqretry(seqlock_t *lock, int seq)
{
	return !(seq & 1) && read_seqretry(lock, seq);
}
static inline void done_seqretry(seqlock_t *lock, int seq)
{
	if (seq & 1)
		read_sequnlock_excl(lock);
}
