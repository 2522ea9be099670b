/* What programs for GenMC include. */
#pragma once
#include <holdfast/verifier.h>
