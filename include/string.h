/* Memory as bytes. */
#pragma once
#include <holdfast/words.h>
#include <holdfast/string.h>
