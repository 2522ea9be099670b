/*
 * Integer types by the kernel's names, and the small structs that every header uses (include/linux/types.h).
 */
#pragma once

typedef signed char __s8, s8, int8_t;
typedef unsigned char __u8, u8, uint8_t;
typedef short __s16, s16, int16_t;
typedef unsigned short __u16, u16, uint16_t;
typedef int __s32, s32, int32_t;
typedef unsigned int __u32, u32, uint32_t;
typedef long long __s64, s64;
typedef unsigned long long __u64, u64;
/* As the C library has them, which a program may include too. */
typedef long int64_t;
typedef unsigned long uint64_t;

typedef u16 __le16, __be16;
typedef u32 __le32, __be32;
typedef u64 __le64, __be64;

typedef _Bool bool;
enum { false = 0, true = 1 };
#define true 1
#define false 0

typedef unsigned long size_t;
typedef long ssize_t;
typedef long ptrdiff_t;
typedef long intptr_t;
typedef unsigned long uintptr_t;
typedef long long loff_t;
typedef int pid_t;
typedef unsigned int gfp_t;
typedef unsigned int fmode_t;
typedef unsigned short umode_t;
typedef unsigned int uint;
typedef unsigned long ulong;
typedef unsigned char unchar;
typedef u64 phys_addr_t;
typedef u64 dma_addr_t;
typedef u64 sector_t;
typedef u64 resource_size_t;

#define NULL ((void *)0)
#define offsetof(type, member) __builtin_offsetof(type, member)

typedef struct { int counter; } atomic_t;
typedef struct { s64 counter; } atomic64_t;
typedef struct { long counter; } atomic_long_t;

struct list_head { struct list_head *next, *prev; };
struct hlist_node { struct hlist_node *next, **pprev; };
struct hlist_head { struct hlist_node *first; };

struct callback_head {
	struct callback_head *next;
	void (*func)(struct callback_head *head);
};
#define rcu_head callback_head
typedef void (*rcu_callback_t)(struct rcu_head *head);
