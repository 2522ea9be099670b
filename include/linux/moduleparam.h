/* Parameters of modules: see linux/module.h. */
#pragma once
#include <linux/module.h>
