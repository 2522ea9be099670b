/* Assertions: those that fail are violations, with the condition as it was written. */
#pragma once
#ifdef NDEBUG
#define assert(cond) ((void)0)
#else
#define assert(cond) __hf_assert(cond, "assertion", "assert(" #cond ")")
#endif
#define static_assert _Static_assert
