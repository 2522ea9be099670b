/* Errors of the C library. */
#pragma once
#include <linux/errno.h>
_Thread_local int __hf_errno;
#define errno __hf_errno
