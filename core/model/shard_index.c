#include "core/model/shard_index.h"

#include <stdlib.h>
#include <string.h>

#include "core/model/json.h"

enum { SHARDS_MAX = 1024, INDEX_SIZE_MAX = 16 << 20 };

static enum status parse_json(json_t **root, json_t **map, struct bytes text, struct error *err) {
    if (text.size > INDEX_SIZE_MAX) {
        return error_set(err, STATUS_TOO_LARGE, "an index of shards of %zu bytes, at most %d",
                         text.size, INDEX_SIZE_MAX);
    }
    enum status status = json_parse(root, text, "index of shards", err);
    if (status) return status;
    *map = json_object_get(*root, "weight_map");
    const char *tensor;
    json_t *file;
    if (!json_is_object(*map)) {
        status = error_set(err, STATUS_UNPROCESSABLE, "the index of shards has no weight_map");
    }
    json_object_foreach(*map, tensor, file) {
        if (json_is_string(file) || status) continue;
        status = error_set(err, STATUS_UNPROCESSABLE,
                           "index of shards: the file of tensor %.120s is not a string", tensor);
    }
    if (status) json_decref(*root);
    return status;
}

/* A shard lies beside its index and nowhere else. */
static bool is_plain_name(const char *name) {
    if (!name[0] || !strcmp(name, ".") || !strcmp(name, "..") || strlen(name) > 200) return false;
    for (const char *c = name; *c; c++) {
        if (*c == '/' || *c == '\\' || (unsigned char)*c < 0x20) return false;
    }
    return true;
}

/* Names come in the order of tensors, so that the last is often the next again. */
static bool has_name(const struct shard_index *index, const char *name) {
    for (size_t i = index->count; i-- > 0;) {
        if (!strcmp(index->names[i], name)) return true;
    }
    return false;
}

static enum status add_name(struct shard_index *index, const char *name, struct error *err) {
    if (has_name(index, name)) return STATUS_OK;
    if (!is_plain_name(name)) {
        return error_set(err, STATUS_UNPROCESSABLE,
                         "index of shards: \"%.120s\" is not the name of a file beside it", name);
    }
    if (index->count == SHARDS_MAX) {
        return error_set(err, STATUS_TOO_LARGE, "the index names more than %d shards", SHARDS_MAX);
    }
    char *copy = strdup(name);
    if (!copy) return error_set(err, STATUS_NO_MEMORY, "out of memory for a shard's name");
    index->names[index->count++] = copy;
    return STATUS_OK;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum status add_names(struct shard_index *index, json_t *map, struct error *err) {
    const char *tensor;
    json_t *file;
    enum status status = STATUS_OK;
    index->names = calloc(SHARDS_MAX, sizeof(*index->names));
    if (!index->names) return error_set(err, STATUS_NO_MEMORY, "out of memory for shards");
    json_object_foreach(map, tensor, file) {
        if (!status) status = add_name(index, json_string_value(file), err);
    }
    if (!status && !index->count)
        status = error_set(err, STATUS_UNPROCESSABLE, "the index of shards names no tensors");
    if (!status) qsort(index->names, index->count, sizeof(*index->names), by_name);
    return status;
}

enum status shard_index_parse(struct shard_index *out, struct bytes text, struct error *err) {
    *out = (struct shard_index){.count = 0};
    enum status status = parse_json(&out->root, &out->map, text, err);
    if (status) {
        out->root = NULL;
        return status;
    }
    status = add_names(out, out->map, err);
    if (status) shard_index_free(out);
    return status;
}

enum status shard_index_check(const struct shard_index *index, const struct tensors *tensors,
                              const char *name, struct error *err) {
    const char *tensor;
    json_t *file;
    json_object_foreach(index->map, tensor, file) {
        if (strcmp(json_string_value(file), name) != 0 || tensors_find(tensors, tensor)) continue;
        return error_set(err, STATUS_UNPROCESSABLE,
                         "tensor %.120s is not in %.80s, where the index of shards says it is",
                         tensor, name);
    }
    return STATUS_OK;
}

void shard_index_free(struct shard_index *index) {
    for (size_t i = 0; i < index->count; i++) free(index->names[i]);
    free(index->names);
    json_decref(index->root);
    *index = (struct shard_index){.count = 0};
}
