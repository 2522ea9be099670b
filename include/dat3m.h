/* What programs for Dartagnan include. */
#pragma once
#include <holdfast/verifier.h>
