/*
 * Small things that everybody uses (include/linux/kernel.h, minmax.h, array_size.h, container_of.h,
 * kconfig.h).
 */
#pragma once
#include <linux/types.h>
#include <linux/compiler.h>
#include <linux/bug.h>
#include <linux/printk.h>
#include <linux/container_of.h>
