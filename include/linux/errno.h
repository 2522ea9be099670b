/* Error numbers (include/uapi/asm-generic/errno-base.h, errno.h). */
#pragma once

#define EPERM 1
#define ENOENT 2
#define EINTR 4
#define EIO 5
#define ENXIO 6
#define E2BIG 7
#define EBADF 9
#define EAGAIN 11
#define EWOULDBLOCK EAGAIN
#define ENOMEM 12
#define EACCES 13
#define EFAULT 14
#define EBUSY 16
#define EEXIST 17
#define ENODEV 19
#define EINVAL 22
#define ENFILE 23
#define ENOSPC 28
#define EPIPE 32
#define ERANGE 34
#define EDEADLK 35
#define ENODATA 61
#define EOVERFLOW 75
#define EOPNOTSUPP 95
#define ECONNRESET 104
#define ESHUTDOWN 108
#define ETIMEDOUT 110
#define EALREADY 114
#define ESTALE 116
#define ECANCELED 125
#define ERESTARTSYS 512
#define ENOTSUPP 524
