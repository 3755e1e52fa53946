/* kernels_generic.h - the portable table: the reference for all others, with the
 * matrix products left to BLAS. */
#ifndef CORE_KERNELS_KERNELS_GENERIC_H
#define CORE_KERNELS_KERNELS_GENERIC_H

#include "core/kernels/kernels.h"

extern const struct kernels kernels_generic;

#endif
