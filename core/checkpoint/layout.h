/* layout.h - which folder of a checkpoint has what. Sentence-Transformers keeps a CLIP in
 * 0_CLIPModel, diffusers a text tower in text_encoder and its vocabulary in tokenizer beside
 * it (SPEC 7.4). */
#ifndef CORE_CHECKPOINT_LAYOUT_H
#define CORE_CHECKPOINT_LAYOUT_H

#include <stdbool.h>

/* The folder with weights and configuration, for what a user calls a checkpoint: `path`
 * itself, when it is a file or has them. Newly allocated; NULL without memory. */
char *layout_weights(const char *path);
/* The folder with the vocabulary. */
char *layout_tokenizer(const char *path);

/* True for a regular file of that name in the directory. */
bool layout_has(const char *directory, const char *name);

#endif
