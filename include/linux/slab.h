/*
 * Memory (include/linux/slab.h). Objects of one size and type come from a pool; what is freed is poisoned,
 * and every later touch of it is found. kmalloc() does not fail.
 */
#pragma once
#include <linux/types.h>
#include <linux/context.h>
#include <linux/rcupdate.h>

#define GFP_KERNEL 0x400u
#define GFP_ATOMIC 0x20u
#define GFP_NOWAIT 0x0u
#define GFP_NOIO 0x400u
#define GFP_NOFS 0x400u
#define GFP_USER 0x400u
#define GFP_KERNEL_ACCOUNT 0x400u
#define __GFP_DIRECT_RECLAIM 0x400u
#define __GFP_ZERO 0x100u
#define __GFP_NOWARN 0x2000u
#define __GFP_NOFAIL 0x8000u

#define kmalloc(size, flags) ({ might_sleep_if((flags) & __GFP_DIRECT_RECLAIM); __hf_alloc(size); })
#define kzalloc(size, flags) ({ might_sleep_if((flags) & __GFP_DIRECT_RECLAIM); __hf_zalloc(size); })
#define kmalloc_array(n, size, flags) kmalloc((n) * (size), flags)
#define kcalloc(n, size, flags) kzalloc((n) * (size), flags)
#define kvmalloc(size, flags) kmalloc(size, flags)
#define kvzalloc(size, flags) kzalloc(size, flags)
#define kmalloc_node(size, flags, node) kmalloc(size, flags)
#define kzalloc_node(size, flags, node) kzalloc(size, flags)

static inline void kfree(const void *p)
{
	if (p)
		__hf_free(p);
}
#define kvfree(p) kfree(p)
#define kfree_sensitive(p) kfree(p)

/* A cache of objects of one size. */
#define SLAB_TYPESAFE_BY_RCU 0x80000u
#define SLAB_HWCACHE_ALIGN 0x2000u
#define SLAB_PANIC 0x40000u
#define SLAB_ACCOUNT 0x4000000u
#define SLAB_RECLAIM_ACCOUNT 0x20000u
#define __HF_SLAB_FREE 4
struct kmem_cache {
	int pool;
	u32 flags;
	void (*ctor)(void *object);
	/* Objects that are free and may still be looked at: only of SLAB_TYPESAFE_BY_RCU. */
	void *free[__HF_SLAB_FREE];
};
#define kmem_cache_create(name, size, align, flags, ctor) __kmem_cache_create(__hf_pool(size), flags, ctor)
#define kmem_cache_create_usercopy(name, size, align, flags, o, s, ctor) kmem_cache_create(name, size, align, flags, ctor)
#define KMEM_CACHE(tag, flags) __kmem_cache_create(__hf_pool(sizeof(struct tag)), flags, NULL)
static inline struct kmem_cache *__kmem_cache_create(int pool, u32 flags, void (*ctor)(void *object))
{
	struct kmem_cache *s = __hf_zalloc(sizeof(struct kmem_cache));

	s->pool = pool;
	s->flags = flags;
	s->ctor = ctor;
	return s;
}
/* An object that was freed comes back as it is, if there is one: its constructor ran when it was new. */
static inline void *__kmem_cache_alloc(struct kmem_cache *s)
{
	void *p;

	if (s->flags & SLAB_TYPESAFE_BY_RCU)
		for (int i = 0; i < __HF_SLAB_FREE; i++)
			if (__hf_load_once(&s->free[i])) {
				p = __hf_rmw_xchg_acquire(&s->free[i], NULL);
				if (p)
					return p;
			}
	p = __hf_alloc_from(s->pool);
	if (s->ctor)
		s->ctor(p);
	return p;
}
#define kmem_cache_alloc(s, gfp) ({ might_sleep_if((gfp) & __GFP_DIRECT_RECLAIM); __kmem_cache_alloc(s); })
#define kmem_cache_alloc_node(s, gfp, node) kmem_cache_alloc(s, gfp)
/* Zeroes what may be somebody else's to look at: not for SLAB_TYPESAFE_BY_RCU. */
#define kmem_cache_zalloc(s, gfp) \
	({ \
		might_sleep_if((gfp) & __GFP_DIRECT_RECLAIM); \
		__hf_assert(!((s)->flags & SLAB_TYPESAFE_BY_RCU), "assertion", \
			    "kmem_cache_zalloc() from a SLAB_TYPESAFE_BY_RCU cache"); \
		__hf_alloc_from((s)->pool); \
	})
/*
 * From a SLAB_TYPESAFE_BY_RCU cache it may be given out again at once, while a reader still looks at it; or
 * its page goes back, but behind a grace period.
 */
static inline void kmem_cache_free(struct kmem_cache *s, void *p)
{
	if (!(s->flags & SLAB_TYPESAFE_BY_RCU)) {
		__hf_free(p);
		return;
	}
	if (__hf_choose(2)) {
		__hf_kfree_rcu(p);
		return;
	}
	for (int i = 0; i < __HF_SLAB_FREE; i++)
		if (__hf_cmpxchg_release(&s->free[i], NULL, p) == NULL)
			return;
	__hf_assert(0, "bound", "more free objects of a cache than there is room for");
}
static inline void kmem_cache_destroy(struct kmem_cache *s)
{
	if (s)
		__hf_free(s);
}
#define kstrdup(s, gfp) (s)
#define kfree_const(p) ((void)(p))
