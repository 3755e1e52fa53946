/* mixer.h - convolutions over the tokens of texts, in the place of attention: what the first and
 * the last layer of MobileCLIP-S0's text tower have (SPEC 4.6).
 *
 * The stream moves through a window of 11 tokens of every channel by itself, what was trained
 * beside it folded in, and a second such window stands before the MLP. Of what lies before and
 * behind a text there are zeros, so all texts must fill the context: the tower is bidirectional. */
#ifndef CORE_TOWERS_MIXER_H
#define CORE_TOWERS_MIXER_H

#include "core/towers/pass.h"

/* x = mix(x), for all rows of lane->x, and then lane->wide = look(x), in rows of
 * workspace_wide_stride(). */
void mixer_run(const struct tower *tower, const struct block *block, const struct pass *pass);

#endif
