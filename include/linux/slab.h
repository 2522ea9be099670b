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
