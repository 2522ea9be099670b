/* A completion on the stack of who waits for it. */
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/module.h>

static struct completion *done;
static int result;

static int worker(void *unused)
{
	struct completion *c;

	while (!(c = READ_ONCE(done)))
		cond_resched();
	WRITE_ONCE(result, 42);
	complete(c);
	return 0;
}

static int asker(void *unused)
{
	DECLARE_COMPLETION_ONSTACK(c);

	smp_store_release(&done, &c);
	wait_for_completion(&c);
	BUG_ON(READ_ONCE(result) != 42);
	return 0;
}

static int __init start(void)
{
	kthread_run(worker, NULL, "worker");
	kthread_run(asker, NULL, "asker");
	return 0;
}
module_init(start);
