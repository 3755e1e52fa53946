/* Finds out what the CPU can do, once, and fills the table. */
#include "core/kernels/kernels.h"

#include "core/kernels/blas.h"
#include "core/kernels/kernels_generic.h"

unsigned cpu_features(void) {
    return 0;
}

void kernels_init(struct kernels *k, unsigned features) {
    (void)features;
    blas_init();
    *k = kernels_generic;
}
