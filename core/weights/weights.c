#include "core/weights/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/weights/pytorch.h"
#include "core/weights/safetensors.h"
#include "core/weights/shard_index.h"

enum { HASH_CHUNK = 16 << 20 };

/* ---- files ---- */

/* The identity is read before the file: one that is replaced in between then looks older
 * than it is, and the next start packs it once more. */
static enum status map(struct file_map *out, struct sha256_run *identity, const char *path,
                       struct error *err) {
    char stamp[FILE_STAMP_SIZE];
    *out = (struct file_map){0};
    if (!file_stamp(stamp, path)) return error_set_errno(err, error_errno_status(), "read", path);
    sha256_add(identity, bytes_of(stamp));
    return file_map_open(out, path, err);
}

static bool is_safetensors(struct bytes file) {
    return file.size > 8 && file.data[8] == '{';
}

static bool is_index(struct bytes file) {
    return file.size && file.data[0] == '{' && !is_safetensors(file);
}

/* ---- opening ---- */

/* One file for each shard of the index. */
static enum status take_names(struct weights *out, struct error *err) {
    struct shard_index index;
    enum status status = shard_index_parse(&index, out->index.bytes, err);
    if (status) return status;
    out->files = calloc(index.count, sizeof(*out->files));
    for (size_t i = 0; i < index.count && out->files; i++) {
        out->files[i].name = index.names[i];
        index.names[i] = NULL;
    }
    out->count = out->files ? index.count : 0;
    shard_index_free(&index);
    return out->files ? STATUS_OK : error_set(err, STATUS_NO_MEMORY, "out of memory for shards");
}

static enum status open_shards(struct weights *out, struct sha256_run *identity, const char *path,
                               struct error *err) {
    const char *slash = strrchr(path, '/');
    char *directory = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    if (!directory) return error_set(err, STATUS_NO_MEMORY, "out of memory for a path");
    enum status status = take_names(out, err);
    for (size_t i = 0; i < out->count && !status; i++) {
        char *shard = file_join(directory, out->files[i].name);
        if (!shard)
            status = error_set(err, STATUS_NO_MEMORY, "out of memory for a path");
        else
            status = map(&out->files[i].map, identity, shard, err);
        free(shard);
    }
    free(directory);
    return status;
}

static enum status open_files(struct weights *out, struct sha256_run *identity, const char *path,
                              struct error *err) {
    struct file_map file;
    enum status status = map(&file, identity, path, err);
    if (status) return status;
    if (is_index(file.bytes)) {
        out->index = file;
        return open_shards(out, identity, path, err);
    }
    out->files = calloc(1, sizeof(*out->files));
    if (!out->files) {
        file_map_close(&file);
        return error_set(err, STATUS_NO_MEMORY, "out of memory for a file");
    }
    out->files[0].map = file;
    out->count = 1;
    return STATUS_OK;
}

enum status weights_open(struct weights *out, const char *path, struct error *err) {
    *out = (struct weights){.files = NULL};
    struct sha256_run *identity = sha256_begin();
    if (!identity) return error_set(err, STATUS_NO_MEMORY, "out of memory for a digest");
    enum status status = open_files(out, identity, path, err);
    sha256_end(identity, out->identity);
    if (status) weights_close(out);
    return status;
}

void weights_close(struct weights *weights) {
    for (size_t i = 0; i < weights->count; i++) {
        free(weights->files[i].name);
        file_map_close(&weights->files[i].map);
    }
    free(weights->files);
    file_map_close(&weights->index);
    *weights = (struct weights){.files = NULL};
}

/* ---- tensors ---- */

enum status weights_parse_file(struct tensors *out, struct bytes file, struct error *err) {
    if (!is_safetensors(file) && pytorch_sniff(file)) return pytorch_parse(out, file, err);
    return safetensors_parse(out, file, err);
}

static enum status add_file(struct tensors *out, const struct weights_file *file,
                            const struct shard_index *index, struct error *err) {
    struct tensors part;
    struct error problem = ERROR_NONE;
    enum status status = weights_parse_file(&part, file->map.bytes, &problem);
    if (status && !file->name) return error_pass(err, &problem);
    if (status) return error_set(err, status, "%.80s: %.230s", file->name, problem.message);
    for (size_t i = 0; i < part.count; i++) part.list[i].mapped = !part.list[i].owned;
    status = shard_index_check(index, &part, file->name, err);
    if (!status) status = tensors_move(out, &part, err);
    tensors_free(&part);
    return status;
}

enum status weights_parse(struct tensors *out, const struct weights *weights, struct error *err) {
    struct shard_index index = {.count = 0};
    enum status status = STATUS_OK;
    *out = (struct tensors){.list = NULL};
    if (weights->index.bytes.size) status = shard_index_parse(&index, weights->index.bytes, err);
    if (status) return status;
    for (size_t i = 0; i < weights->count && !status; i++) {
        status = add_file(out, &weights->files[i], &index, err);
    }
    shard_index_free(&index);
    if (!status) status = tensors_sort_unique(out, err);
    if (!status) status = tensors_strip(out, err);
    if (status) tensors_free(out);
    return status;
}

enum status weights_digest(char hex[SHA256_HEX_SIZE], const struct weights *weights,
                           struct error *err) {
    uint8_t digest[SHA256_SIZE];
    struct sha256_run *run = sha256_begin();
    if (!run) return error_set(err, STATUS_NO_MEMORY, "out of memory for a digest");
    for (size_t i = 0; i < weights->count; i++) {
        struct bytes rest = weights->files[i].map.bytes;
        while (rest.size) {
            struct bytes part = {rest.data, rest.size < HASH_CHUNK ? rest.size : HASH_CHUNK};
            sha256_add(run, part);
            file_map_release(part);
            rest = (struct bytes){rest.data + part.size, rest.size - part.size};
        }
    }
    sha256_end(run, digest);
    sha256_print(hex, digest);
    return STATUS_OK;
}
