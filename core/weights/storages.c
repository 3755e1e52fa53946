#include "core/weights/storages.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/little_endian.h"

enum { KEY_MAX = 64, LENGTH_SIZE = 8 };

static bool equals(struct bytes bytes, const char *text) {
    return bytes.size == strlen(text) && !memcmp(bytes.data, text, bytes.size);
}

static void set_type(struct storage *storage, const struct pickle_value *type) {
    static const struct {
        const char *name;
        enum tensor_type type;
    } types[] = {
        {"DoubleStorage", TENSOR_F64},    {"FloatStorage", TENSOR_F32}, {"HalfStorage", TENSOR_F16},
        {"BFloat16Storage", TENSOR_BF16}, {"LongStorage", TENSOR_I64},  {"IntStorage", TENSOR_I32},
        {"ShortStorage", TENSOR_I16},     {"CharStorage", TENSOR_I8},   {"ByteStorage", TENSOR_U8},
        {"BoolStorage", TENSOR_BOOL},
    };
    storage->type_name = type->text;
    if (equals(type->text, "UntypedStorage")) storage->element = 1;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (!equals(type->text, types[i].name)) continue;
        storage->typed = true;
        storage->type = types[i].type;
        storage->element = tensor_type_size(storage->type);
    }
}

/* ('storage', torch.HalfStorage, '94', 'cpu', 4096): type, key, where it once was, length.
 * Persistent values of other kinds belong to pickled modules and are of no interest. */
static bool read_storage(struct storage *out, const struct pickle *pickle,
                         const struct pickle_value *persistent) {
    uint32_t tuple = persistent->callee;
    if (!pickle_is_text(pickle, pickle_item(pickle, tuple, 0), "storage")) return false;
    const struct pickle_value *type = pickle_get(pickle, pickle_item(pickle, tuple, 1));
    const struct pickle_value *key = pickle_get(pickle, pickle_item(pickle, tuple, 2));
    *out = (struct storage){0};
    if (!type || type->kind != PICKLE_GLOBAL || !key || key->kind != PICKLE_TEXT) return false;
    if (!key->text.size || key->text.size > KEY_MAX) return false;
    /* A view of another storage, as PyTorch once wrote them, has a sixth item. */
    const struct pickle_value *view = pickle_get(pickle, pickle_item(pickle, tuple, 5));
    if (view && view->kind != PICKLE_NONE) return false;
    out->key = key->text;
    set_type(out, type);
    return pickle_read_size(pickle, pickle_item(pickle, tuple, 4), &out->count);
}

static int by_key(const void *a, const void *b) {
    const struct storage *x = a, *y = b;
    if (x->key.size != y->key.size) return x->key.size < y->key.size ? -1 : 1;
    return memcmp(x->key.data, y->key.data, x->key.size);
}

/* Tensors that share a storage name it once each: they must agree. */
static enum status remove_repeated(struct storages *storages, struct error *err) {
    size_t kept = 0;
    for (size_t i = 0; i < storages->count; i++) {
        const struct storage *storage = &storages->list[i];
        struct storage *before = kept ? &storages->list[kept - 1] : NULL;
        if (!before || by_key(before, storage) != 0) {
            storages->list[kept++] = *storage;
        } else if (before->count != storage->count || before->element != storage->element ||
                   before->typed != storage->typed || before->type != storage->type) {
            return error_set(err, STATUS_UNPROCESSABLE,
                             "storage %.*s has %zu and %zu elements, or two types",
                             (int)storage->key.size, (const char *)storage->key.data, before->count,
                             storage->count);
        }
    }
    storages->count = kept;
    return STATUS_OK;
}

enum status storages_collect(struct storages *out, const struct pickle *pickle, struct error *err) {
    size_t most = 0;
    *out = (struct storages){0};
    for (size_t i = 0; i < pickle->values_count; i++) {
        most += pickle->values[i].kind == PICKLE_PERSISTENT;
    }
    out->list = calloc(most + 1, sizeof(*out->list));
    if (!out->list) return error_set(err, STATUS_NO_MEMORY, "out of memory for %zu arrays", most);
    for (size_t i = 0; i < pickle->values_count; i++) {
        const struct pickle_value *value = &pickle->values[i];
        if (value->kind != PICKLE_PERSISTENT) continue;
        if (read_storage(&out->list[out->count], pickle, value)) out->count++;
    }
    if (out->count) qsort(out->list, out->count, sizeof(*out->list), by_key);
    enum status status = remove_repeated(out, err);
    if (status) storages_free(out);
    return status;
}

void storages_free(struct storages *storages) {
    free(storages->list);
    *storages = (struct storages){0};
}

enum status storages_place_entries(struct storages *storages, const struct zip *zip,
                                   struct bytes root, struct error *err) {
    struct buffer name;
    buffer_init(&name, root.size + KEY_MAX + 16);
    enum status status = STATUS_OK;
    for (size_t i = 0; i < storages->count && !status; i++) {
        struct storage *storage = &storages->list[i];
        name.size = 0;
        status = buffer_append(&name, root.data, root.size, err);
        if (!status) status = buffer_append(&name, "data/", 5, err);
        if (!status) status = buffer_append(&name, storage->key.data, storage->key.size, err);
        if (status) break;
        const struct zip_entry *entry = zip_find(zip, buffer_view(&name));
        if (!entry) continue;
        storage->found = true;
        status = zip_data(&storage->data, zip, entry, err);
    }
    buffer_free(&name);
    return status;
}

static struct storage *find_key(const struct storages *storages, struct bytes key) {
    struct storage wanted = {.key = key};
    if (!storages->count) return NULL;
    return bsearch(&wanted, storages->list, storages->count, sizeof(*storages->list), by_key);
}

/* One array: its length again, then its elements. Moves *at behind it. */
static enum status place_next(struct storage *storage, struct bytes file, size_t *at,
                              struct error *err) {
    size_t left = file.size - *at;
    if (left < LENGTH_SIZE) {
        *at = file.size;
        return STATUS_OK;
    }
    const uint8_t *begin = file.data + *at + LENGTH_SIZE;
    uint64_t count = little_endian(file.data + *at, LENGTH_SIZE);
    size_t size;
    left -= LENGTH_SIZE;
    if (count != storage->count || !storage->element || storage->found ||
        !size_multiply(&size, storage->count, storage->element)) {
        return error_set(err, STATUS_UNPROCESSABLE,
                         "storage %.*s is a %.*s of %zu elements, %llu are at byte %zu",
                         (int)storage->key.size, (const char *)storage->key.data,
                         storage->type_name.size < 32 ? (int)storage->type_name.size : 32,
                         (const char *)storage->type_name.data, storage->count,
                         (unsigned long long)count, *at);
    }
    storage->found = true;
    storage->data = (struct bytes){.data = begin, .size = size < left ? size : left};
    *at += LENGTH_SIZE + storage->data.size;
    return STATUS_OK;
}

enum status storages_place_sequence(struct storages *storages, const struct pickle *keys,
                                    struct bytes file, struct error *err) {
    const struct pickle_value *list = pickle_get(keys, keys->root);
    if (list->kind != PICKLE_LIST) {
        return error_set(err, STATUS_UNPROCESSABLE, "the list of the storages' keys is no list");
    }
    enum status status = STATUS_OK;
    size_t at = 0;
    for (uint32_t link = list->first; link != PICKLE_NOTHING && !status;) {
        const struct pickle_value *key = &keys->values[keys->links[link].value];
        struct storage *storage = key->kind == PICKLE_TEXT ? find_key(storages, key->text) : NULL;
        if (!storage) {
            return error_set(err, STATUS_UNPROCESSABLE,
                             "the list of the storages' keys has one that no tensor has");
        }
        status = place_next(storage, file, &at, err);
        link = keys->links[link].next;
    }
    if (status || at == file.size) return status;
    return error_set(err, STATUS_UNPROCESSABLE, "%zu bytes follow the last storage",
                     file.size - at);
}

const struct storage *storages_find(const struct storages *storages, const struct pickle *pickle,
                                    uint32_t value) {
    struct storage storage;
    const struct pickle_value *persistent = pickle_get(pickle, value);
    if (!persistent || persistent->kind != PICKLE_PERSISTENT) return NULL;
    if (!read_storage(&storage, pickle, persistent)) return NULL;
    return find_key(storages, storage.key);
}
