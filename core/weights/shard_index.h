/* shard_index.h - the index of a checkpoint in several files (*.safetensors.index.json,
 * pytorch_model.bin.index.json): which files they are, and what is to be in them. */
#ifndef CORE_WEIGHTS_SHARD_INDEX_H
#define CORE_WEIGHTS_SHARD_INDEX_H

#include <jansson.h>

#include "core/base/bytes.h"
#include "core/weights/tensors.h"

/* A tensor and the file that has it; both live as long as the JSON. */
struct shard_tensor {
    const char *file, *tensor;
};

struct shard_index {
    char **names; /* [count], sorted, each once: files beside the index, and nowhere else */
    size_t count;
    struct shard_tensor *tensors; /* [tensors_count], sorted by file */
    size_t tensors_count;
    json_t *root;
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
