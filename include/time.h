/* Time stands still. */
#pragma once
#include <holdfast/words.h>
typedef long time_t;
struct timespec { time_t tv_sec; long tv_nsec; };
#define time(p) ((time_t)0)
#define nanosleep(req, rem) ({ (void)(req); (void)(rem); 0; })
#define clock_gettime(id, ts) ({ (void)(ts); 0; })
#define CLOCK_REALTIME 0
