/* pooler_encode.h - the forward pass of a pooler, see pooler.h. */
#ifndef CORE_TOWERS_POOLER_ENCODE_H
#define CORE_TOWERS_POOLER_ENCODE_H

#include "core/towers/pass.h"

/* Leaves one row of pooled_width for each sequence at the front of lane->x, where none of the
 * rows that it was made of is any more. */
void pooler_encode(const struct towers *towers, const struct pass *pass);

/* Floats of lane->qkv that this takes for `rows` rows of all sequences. */
size_t pooler_floats(const struct towers *towers, size_t rows);

#endif
