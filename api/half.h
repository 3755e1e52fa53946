/* half.h - numbers of 16 bits, IEEE 754 binary16. */
#ifndef API_HALF_H
#define API_HALF_H

#include <stddef.h>

/* Rounds to the nearest, ties to even, as NumPy does; what is too large becomes infinite. `out` is
 * [count] of 16 bits, little-endian, and may lie at `from`: it is never ahead of it. */
void half_from_floats(void *out, const float *from, size_t count);

#endif
