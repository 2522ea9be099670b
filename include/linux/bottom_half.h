/* Softirqs: see irqflags.h. */
#pragma once
#include <linux/irqflags.h>
