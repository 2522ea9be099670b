/* Counters of each CPU; who sums them up sees no more than there was. */
#include <linux/percpu.h>
#include <linux/kthread.h>
#include <linux/module.h>

static DEFINE_PER_CPU(int, hits);

static int worker(void *unused)
{
	this_cpu_inc(hits);
	this_cpu_inc(hits);
	return 0;
}

static int reader(void *unused)
{
	int sum = 0, cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(hits, cpu));
	BUG_ON(sum < 0 || sum > 4);
	return 0;
}

static int __init start(void)
{
	kthread_run(worker, NULL, "worker");
	kthread_run(worker, NULL, "worker");
	kthread_run(reader, NULL, "reader");
	return 0;
}
module_init(start);
