/* shard_index.h - the index of a checkpoint in several files (*.safetensors.index.json,
 * pytorch_model.bin.index.json): which files they are, and what is to be in them. */
#ifndef CORE_MODEL_SHARD_INDEX_H
#define CORE_MODEL_SHARD_INDEX_H

#include <jansson.h>

#include "core/base/bytes.h"
#include "core/model/tensors.h"

struct shard_index {
    char **names; /* [count], sorted, each once: files beside the index, and nowhere else */
    size_t count;
    json_t *root, *map; /* of tensors to names */
};

/* STATUS_UNPROCESSABLE for what is no index or names no files, STATUS_TOO_LARGE over the limits on
 * bytes and shards. On failure there is nothing to free. */
enum status shard_index_parse(struct shard_index *out, struct bytes text, struct error *err);
/* STATUS_UNPROCESSABLE when the file of that name lacks a tensor which the index says is there.
 * Of zeroed memory nothing is said. */
enum status shard_index_check(const struct shard_index *index, const struct tensors *tensors,
                              const char *name, struct error *err);
/* Zeroed memory is allowed, and so are names that have been taken out. */
void shard_index_free(struct shard_index *index);

#endif
