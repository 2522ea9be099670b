/*
 * Properties: WARN_ON() and BUG_ON() that come true are violations, with the condition as the user wrote it
 * (include/asm-generic/bug.h).
 */
#pragma once
#include <linux/compiler.h>

#define BUG() __hf_reach("BUG()")
#define BUG_ON(cond) __hf_assert(!(cond), "assertion", "BUG_ON(" #cond ")")
#define WARN_ON(cond) ({ int __c = !!(cond); __hf_assert(!__c, "assertion", "WARN_ON(" #cond ")"); __c; })
#define WARN_ON_ONCE(cond) ({ int __c = !!(cond); __hf_assert(!__c, "assertion", "WARN_ON_ONCE(" #cond ")"); __c; })
#define WARN(cond, ...) ({ int __c = !!(cond); __hf_assert(!__c, "assertion", "WARN(" #cond ")"); __c; })
#define WARN_ONCE(cond, ...) ({ int __c = !!(cond); __hf_assert(!__c, "assertion", "WARN_ONCE(" #cond ")"); __c; })
#define VM_BUG_ON(cond) BUG_ON(cond)
#define VM_WARN_ON(cond) WARN_ON(cond)
#define VM_WARN_ON_ONCE(cond) WARN_ON_ONCE(cond)
#define panic(...) __hf_reach("panic()")
