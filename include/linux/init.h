/*
 * Where a program begins and ends (include/linux/init.h, module.h): module_init(f) runs alone, until it has
 * started a thread; module_exit(f) when all threads have ended.
 */
#pragma once
#include <linux/compiler.h>
#include <linux/types.h>

#define module_init(f) int (*const __hf_module_init)(void) = f;
#define module_exit(f) void (*const __hf_module_exit)(void) = f;
#define late_initcall(f) module_init(f)
#define device_initcall(f) module_init(f)
#define subsys_initcall(f) module_init(f)
#define core_initcall(f) module_init(f)
