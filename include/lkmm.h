/*
 * What programs of other checkers include that are written with the kernel's functions and pthreads (GenMC,
 * Dartagnan).
 */
#pragma once
#include <linux/types.h>
#include <linux/compiler.h>
#include <linux/atomic.h>
#include <linux/spinlock.h>
#include <linux/rcupdate.h>
