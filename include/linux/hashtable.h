/* Hash tables of a fixed size (include/linux/hashtable.h). */
#pragma once
#include <linux/types.h>
#include <linux/list.h>
#include <linux/rculist.h>
#include <linux/kernel.h>

#define DEFINE_HASHTABLE(name, bits) struct hlist_head name[1 << (bits)]
#define DECLARE_HASHTABLE(name, bits) struct hlist_head name[1 << (bits)]
#define HASH_SIZE(name) (ARRAY_SIZE(name))
#define hash_min(val, bits) ((unsigned int)(val) & ((1u << (bits)) - 1))
#define __hash_bucket(table, key) (&(table)[(unsigned int)(key) & (HASH_SIZE(table) - 1)])
#define hash_init(table) do { for (int __i = 0; __i < (int)HASH_SIZE(table); __i++) (table)[__i].first = NULL; } while (0)
#define hash_add(table, node, key) hlist_add_head(node, __hash_bucket(table, key))
#define hash_add_rcu(table, node, key) hlist_add_head_rcu(node, __hash_bucket(table, key))
#define hash_hashed(node) (!hlist_unhashed(node))
#define hash_del(node) hlist_del_init(node)
#define hash_del_rcu(node) hlist_del_init_rcu(node)
#define hash_for_each_possible(name, obj, member, key) hlist_for_each_entry(obj, __hash_bucket(name, key), member)
#define hash_for_each_possible_rcu(name, obj, member, key, cond...) \
	hlist_for_each_entry_rcu(obj, __hash_bucket(name, key), member, ##cond)
#define hash_for_each_possible_safe(name, obj, tmp, member, key) \
	hlist_for_each_entry_safe(obj, tmp, __hash_bucket(name, key), member)
#define hash_for_each(name, bkt, obj, member) \
	for ((bkt) = 0, obj = NULL; obj == NULL && (bkt) < (int)HASH_SIZE(name); (bkt)++) \
		hlist_for_each_entry(obj, &(name)[bkt], member)
