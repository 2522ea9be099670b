/*
 * kref_get() of an object that was looked up without a lock: the last kref_put() may have run in between.
 * error: refcount-zero
 */
#include <linux/kref.h>
#include <linux/slab.h>
#include <linux/kthread.h>
#include <linux/module.h>

struct session {
	struct kref ref;
	int id;
};
static struct session *current_session;

static void session_release(struct kref *ref)
{
	struct session *s = container_of(ref, struct session, ref);

	WRITE_ONCE(current_session, NULL);
	synchronize_rcu();
	kfree(s);
}

static int user(void *unused)
{
	struct session *s;

	rcu_read_lock();
	s = READ_ONCE(current_session);
	if (s)
		kref_get(&s->ref);
	rcu_read_unlock();
	if (s)
		kref_put(&s->ref, session_release);
	return 0;
}

static int closer(void *unused)
{
	kref_put(&current_session->ref, session_release);
	return 0;
}

static int __init start(void)
{
	current_session = kzalloc(sizeof(*current_session), GFP_KERNEL);
	kref_init(&current_session->ref);
	kthread_run(user, NULL, "user");
	kthread_run(closer, NULL, "closer");
	return 0;
}
module_init(start);
