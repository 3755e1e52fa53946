/* weights.h - the files that hold a checkpoint's tensors, whatever their form: one file, or
 * an index and the shards that it names.
 *
 * What a file is, its content says: safetensors, an archive or pickles of PyTorch, or the JSON
 * of an index. */
#ifndef CORE_WEIGHTS_WEIGHTS_H
#define CORE_WEIGHTS_WEIGHTS_H

#include "core/base/file.h"
#include "core/base/sha256.h"
#include "core/weights/tensors.h"

struct weights_file {
    char *name; /* within the directory of the index */
    struct file_map map;
};

struct weights {
    struct weights_file *files; /* [count], sorted by name */
    size_t count;
    struct file_map index;         /* empty: there is none */
    uint8_t identity[SHA256_SIZE]; /* of inodes, sizes and times: other files have another */
};

/* Maps the file of that path and, if it is an index, its shards. */
enum status weights_open(struct weights *out, const char *path, struct error *err);
void weights_close(struct weights *weights);

/* The tensors of all files, sorted, without what training puts before their names. They borrow
 * the mappings. */
enum status weights_parse(struct tensors *out, const struct weights *weights, struct error *err);

/* SHA-256 of the files, one behind the other in the order of their names. */
enum status weights_digest(char hex[SHA256_HEX_SIZE], const struct weights *weights,
                           struct error *err);

/* One file's tensors, sorted. */
enum status weights_parse_file(struct tensors *out, struct bytes file, struct error *err);

#endif
