#include "core/weights/shard_index.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"

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

static int by_file(const void *a, const void *b) {
    const struct shard_tensor *x = a, *y = b;
    return strcmp(x->file, y->file);
}

static enum status sort_tensors(struct shard_index *index, json_t *map, struct error *err) {
    const char *tensor;
    json_t *file;
    index->tensors = calloc(json_object_size(map) + 1, sizeof(*index->tensors));
    if (!index->tensors) return error_set(err, STATUS_NO_MEMORY, "out of memory for shards");
    json_object_foreach(map, tensor, file) {
        index->tensors[index->tensors_count++] =
            (struct shard_tensor){json_string_value(file), tensor};
    }
    qsort(index->tensors, index->tensors_count, sizeof(*index->tensors), by_file);
    return STATUS_OK;
}

static enum status add_name(struct shard_index *index, const char *name, struct error *err) {
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

static enum status add_names(struct shard_index *index, struct error *err) {
    const struct shard_tensor *tensors = index->tensors;
    enum status status = STATUS_OK;
    index->names = calloc(SHARDS_MAX, sizeof(*index->names));
    if (!index->names) return error_set(err, STATUS_NO_MEMORY, "out of memory for shards");
    for (size_t i = 0; i < index->tensors_count && !status; i++) {
        if (!i || by_file(&tensors[i - 1], &tensors[i]) != 0)
            status = add_name(index, tensors[i].file, err);
    }
    if (!status && !index->count)
        status = error_set(err, STATUS_UNPROCESSABLE, "the index of shards names no tensors");
    return status;
}

enum status shard_index_parse(struct shard_index *out, struct bytes text, struct error *err) {
    *out = (struct shard_index){.count = 0};
    json_t *map = NULL;
    enum status status = parse_json(&out->root, &map, text, err);
    if (status) {
        out->root = NULL;
        return status;
    }
    status = sort_tensors(out, map, err);
    if (!status) status = add_names(out, err);
    if (status) shard_index_free(out);
    return status;
}

/* Where the tensors of a file begin. */
static size_t first_of(const struct shard_index *index, const char *file) {
    size_t low = 0, high = index->tensors_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(index->tensors[middle].file, file) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

enum status shard_index_check(const struct shard_index *index, const struct tensors *tensors,
                              const char *name, struct error *err) {
    for (size_t i = first_of(index, name); i < index->tensors_count; i++) {
        const struct shard_tensor *said = &index->tensors[i];
        if (strcmp(said->file, name) != 0) break;
        if (tensors_find(tensors, said->tensor)) continue;
        return error_set(err, STATUS_UNPROCESSABLE,
                         "tensor %.120s is not in %.80s, where the index of shards says it is",
                         said->tensor, name);
    }
    return STATUS_OK;
}

void shard_index_free(struct shard_index *index) {
    for (size_t i = 0; i < index->count; i++) free(index->names[i]);
    free(index->names);
    free(index->tensors);
    json_decref(index->root);
    *index = (struct shard_index){.count = 0};
}
