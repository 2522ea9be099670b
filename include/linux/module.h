/* Modules: what they say about themselves means nothing here (include/linux/module.h). */
#pragma once
#include <linux/init.h>
#include <linux/kernel.h>

#define MODULE_LICENSE(x)
#define MODULE_AUTHOR(x)
#define MODULE_DESCRIPTION(x)
#define MODULE_VERSION(x)
#define MODULE_ALIAS(x)
#define EXPORT_SYMBOL(x)
#define EXPORT_SYMBOL_GPL(x)
#define THIS_MODULE ((void *)0)
struct module;
#define try_module_get(m) true
#define module_put(m) ((void)(m))
