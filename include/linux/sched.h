/* Tasks (include/linux/sched.h). */
#pragma once
#include <linux/types.h>
#include <linux/compiler.h>
#include <linux/context.h>

struct task_struct {
	/* What it runs, and with what. */
	int (*threadfn)(void *data);
	void *data;
	/* It has begun; it has ended, with that result. */
	int started;
	int done;
	int should_stop;
	int result;
	unsigned int __state;
};
_Thread_local struct task_struct *__hf_current;
static struct task_struct init_task;
#define current (__hf_current ? __hf_current : &init_task)
