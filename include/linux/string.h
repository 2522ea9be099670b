/* Memory as bytes (include/linux/string.h). */
#pragma once
#include <linux/types.h>
#include <holdfast/string.h>
