/* architecture_info.h - what a model of a known architecture is, and which one a model is of.
 *
 * The numbers are those of the table in architectures.c; what the families are beside them hangs
 * on their names, and the numbers of that are open_clip's and, of text towers of transformers,
 * those of their own configurations. */
#ifndef CORE_CHECKPOINT_ARCHITECTURE_INFO_H
#define CORE_CHECKPOINT_ARCHITECTURE_INFO_H

#include "core/checkpoint/architectures.h"

/* All but weights, as if a checkpoint of it had been read. */
void architecture_info_fill(struct model_info *out, const struct architecture *architecture);

/* The same by its name, behind which "-quickgelu" asks for QuickGELU in the place of GELU. False if
 * unknown. */
bool architecture_info_named(struct model_info *out, const char *name);

/* The name of the one that has these dimensions, "CLIP" when there is none. Activations do not
 * count. */
void architecture_info_name(char *out, size_t size, const struct model_info *info);

#endif
