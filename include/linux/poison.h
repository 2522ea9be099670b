/* Pointers that no object has (include/linux/poison.h). */
#pragma once

#define LIST_POISON1 ((void *)0x100)
#define LIST_POISON2 ((void *)0x122)
