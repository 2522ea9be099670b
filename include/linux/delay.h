/* Delays (include/linux/delay.h): time does not pass here; a thread can be late at every step anyhow. */
#pragma once
#include <linux/context.h>
#define udelay(n) ((void)(n))
#define ndelay(n) ((void)(n))
#define mdelay(n) ((void)(n))
#define usleep_range(a, b) ({ (void)(a); (void)(b); might_sleep(); })
#define fsleep(n) ({ (void)(n); might_sleep(); })
#define msleep(n) ({ (void)(n); might_sleep(); })
#define msleep_interruptible(n) ({ (void)(n); might_sleep(); 0UL; })
#define ssleep(n) ({ (void)(n); might_sleep(); })
