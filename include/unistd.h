/* Delays: a thread can be late at every step anyhow. */
#pragma once
#include <holdfast/words.h>
#define sleep(n) ({ (void)(n); 0u; })
#define usleep(n) ({ (void)(n); 0; })
