/* Modules: what they say about themselves means nothing here (include/linux/module.h). */
#pragma once
#include <linux/init.h>
#include <linux/kernel.h>

#define MODULE_LICENSE(x)
#define MODULE_AUTHOR(x)
#define MODULE_DESCRIPTION(x)
#define MODULE_VERSION(x)
#define MODULE_ALIAS(x)
#define MODULE_DEVICE_TABLE(type, name)
#define MODULE_SOFTDEP(x)
#define MODULE_IMPORT_NS(x)
#define module_param(name, type, perm)
#define module_param_named(name, value, type, perm)
#define module_param_array(name, type, nump, perm)
#define MODULE_PARM_DESC(name, text)
#define KBUILD_MODNAME "module"
#define EXPORT_SYMBOL_NS_GPL(x, ns)
#define EXPORT_SYMBOL(x)
#define EXPORT_SYMBOL_GPL(x)
#define THIS_MODULE ((void *)0)
struct module;
#define try_module_get(m) true
#define module_put(m) ((void)(m))
