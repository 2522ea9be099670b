/*
 * Two values that belong together, written under a sequence lock. The reader does not ask whether a writer
 * was there meanwhile:
 *
 *	holdfast check race.c			says how
 *	holdfast check race.c -D FIXED		holds
 */
#include <linux/seqlock.h>
#include <linux/kthread.h>
#include <linux/module.h>

static DEFINE_SEQLOCK(lock);
static int seconds, nanoseconds;

static int reader(void *unused)
{
	unsigned int seq;
	int s, ns;

#ifdef FIXED
	do {
		seq = read_seqbegin(&lock);
		s = READ_ONCE(seconds);
		ns = READ_ONCE(nanoseconds);
	} while (read_seqretry(&lock, seq));
#else
	seq = read_seqbegin(&lock);
	s = READ_ONCE(seconds);
	ns = READ_ONCE(nanoseconds);
#endif
	WARN_ON(s != ns);
	return 0;
}

static int writer(void *unused)
{
	write_seqlock(&lock);
	WRITE_ONCE(seconds, 1);
	WRITE_ONCE(nanoseconds, 1);
	write_sequnlock(&lock);
	return 0;
}

static int __init start(void)
{
	kthread_run(reader, NULL, "reader");
	kthread_run(writer, NULL, "writer");
	return 0;
}
module_init(start);
