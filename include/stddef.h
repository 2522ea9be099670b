/* See holdfast/words.h. */
#pragma once
#include <holdfast/words.h>
