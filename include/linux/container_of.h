/* From a member to what it is a member of (include/linux/container_of.h). */
#pragma once
#include <linux/types.h>

#define container_of(ptr, type, member) ((type *)((void *)(ptr) - offsetof(type, member)))
#define container_of_const(ptr, type, member) container_of(ptr, type, member)
#define typeof_member(T, m) typeof(((T *)0)->m)
