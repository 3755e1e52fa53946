/* Values are compared with what torch.save() writes and never called: a tensor is a call
 * of torch._utils._rebuild_tensor_v2 that nobody makes, with its storage, offset, shape
 * and strides as arguments. A module is an object whose state is a dictionary. */
#include "core/weights/state_dict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Tied weights, of embeddings or of towers, are there twice, in an average of weights once more. */
enum { DEPTH_MAX = 64, TENSORS_MAX = 1 << 17, STEPS_MAX = 1 << 22, SHARING_MAX = 8 };

struct reader {
    struct tensors *out;
    const struct pickle *pickle;
    const struct storages *storages;
    size_t capacity;    /* of out->list */
    size_t copies_left; /* bytes */
    size_t views_left;  /* bytes of tensors, copied or not */
    size_t steps;       /* items looked at; values may be shared, so walks need a limit */
    char name[TENSOR_NAME_MAX + 1];
    struct error *err;
};

/* ---- dictionaries ---- */

/* A walk over the pairs of a dictionary: its own items, or the list of pairs that an
 * OrderedDict of Python 2 is made from. */
struct pairs {
    const struct pickle *pickle;
    uint32_t link;
    bool listed;
};

static bool is_ordered_dict(const struct pickle *pickle, uint32_t value) {
    const struct pickle_value *object = pickle_get(pickle, value);
    return object && object->kind == PICKLE_OBJECT &&
           pickle_is_global(pickle, object->callee, "collections", "OrderedDict");
}

static bool is_dict(const struct pickle *pickle, uint32_t value) {
    const struct pickle_value *dict = pickle_get(pickle, value);
    return dict && (dict->kind == PICKLE_DICT || is_ordered_dict(pickle, value));
}

static struct pairs pairs_of(const struct pickle *pickle, uint32_t dict) {
    const struct pickle_value *value = pickle_get(pickle, dict);
    struct pairs pairs = {.pickle = pickle, .link = value->first};
    if (value->first != PICKLE_NOTHING || value->kind != PICKLE_OBJECT) return pairs;
    const struct pickle_value *list = pickle_get(pickle, pickle_item(pickle, value->arguments, 0));
    if (list && list->kind == PICKLE_LIST) {
        pairs.link = list->first;
        pairs.listed = true;
    }
    return pairs;
}

static bool next_pair(struct pairs *pairs, uint32_t *key, uint32_t *value) {
    const struct pickle *pickle = pairs->pickle;
    if (pairs->link == PICKLE_NOTHING) return false;
    uint32_t item = pickle->links[pairs->link].value;
    pairs->link = pickle->links[pairs->link].next;
    if (pairs->listed) {
        *key = pickle_item(pickle, item, 0);
        *value = pickle_item(pickle, item, 1);
        return true;
    }
    if (pairs->link == PICKLE_NOTHING) return false;
    *key = item;
    *value = pickle->links[pairs->link].value;
    pairs->link = pickle->links[pairs->link].next;
    return true;
}

/* The last one of that name counts, as in Python. Counts its steps and ends when there have
 * been too many. */
static uint32_t get(const struct pickle *pickle, uint32_t dict, const char *name, size_t *steps) {
    uint32_t key, value, found = PICKLE_NOTHING;
    if (!is_dict(pickle, dict)) return PICKLE_NOTHING;
    struct pairs pairs = pairs_of(pickle, dict);
    while (*steps < STEPS_MAX && next_pair(&pairs, &key, &value)) {
        ++*steps;
        if (pickle_is_text(pickle, key, name)) found = value;
    }
    return found;
}

bool state_dict_says_little_endian(const struct pickle *pickle) {
    size_t steps = 0;
    const struct pickle_value *value =
        pickle_get(pickle, get(pickle, pickle->root, "little_endian", &steps));
    return value && value->kind == PICKLE_BOOL && value->integer;
}

/* ---- tensors ---- */

/* What torch.save() makes of a tensor, in its versions. */
static bool rebuilds(const struct pickle *pickle, uint32_t callee, const char *name) {
    return pickle_is_global(pickle, callee, "torch._utils", name);
}

static bool is_plain(const struct pickle *pickle, uint32_t callee) {
    return rebuilds(pickle, callee, "_rebuild_tensor") ||
           rebuilds(pickle, callee, "_rebuild_tensor_v2") ||
           rebuilds(pickle, callee, "_rebuild_tensor_v3");
}

/* Finds the call that makes the tensor itself, through what wraps it (a parameter, a
 * subclass); false when `value` is no tensor. */
static bool find_rebuild(const struct pickle *pickle, uint32_t value, uint32_t *callee,
                         uint32_t *arguments) {
    for (int depth = 0; depth < 4; depth++) {
        const struct pickle_value *object = pickle_get(pickle, value);
        if (!object || object->kind != PICKLE_OBJECT) return false;
        *callee = object->callee;
        *arguments = object->arguments;
        if (pickle_is_global(pickle, *callee, "torch._tensor", "_rebuild_from_type_v2")) {
            *callee = pickle_item(pickle, object->arguments, 0);
            *arguments = pickle_item(pickle, object->arguments, 2);
        }
        if (is_plain(pickle, *callee)) return true;
        if (!rebuilds(pickle, *callee, "_rebuild_parameter") &&
            !rebuilds(pickle, *callee, "_rebuild_parameter_with_state")) {
            return false;
        }
        value = pickle_item(pickle, *arguments, 0);
    }
    return false;
}

/* The storages of newer types have none of their own: the call says it ("torch float16"). */
static bool named_type(const struct pickle *pickle, uint32_t value, enum tensor_type *out) {
    static const struct {
        const char *name;
        enum tensor_type type;
    } types[] = {
        {"float64", TENSOR_F64},   {"float32", TENSOR_F32}, {"float16", TENSOR_F16},
        {"bfloat16", TENSOR_BF16}, {"int64", TENSOR_I64},   {"int32", TENSOR_I32},
        {"int16", TENSOR_I16},     {"int8", TENSOR_I8},     {"uint8", TENSOR_U8},
        {"bool", TENSOR_BOOL},
    };
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (!pickle_is_global(pickle, value, "torch", types[i].name)) continue;
        *out = types[i].type;
        return true;
    }
    return false;
}

/* Where a tensor's elements lie in its storage. */
struct view {
    const struct storage *storage;
    size_t offset, elements;
    size_t strides[TENSOR_RANK_MAX];
};

static enum status read_type(const struct reader *reader, struct tensor *out, struct view *view,
                             uint32_t callee, uint32_t arguments) {
    const struct pickle *pickle = reader->pickle;
    const struct storage *storage = view->storage =
        storages_find(reader->storages, pickle, pickle_item(pickle, arguments, 0));
    if (!storage) {
        return error_set(reader->err, STATUS_UNSUPPORTED,
                         "tensor %s has no storage of a known form", reader->name);
    }
    out->type = storage->type;
    if (storage->typed) return STATUS_OK;
    bool says = rebuilds(pickle, callee, "_rebuild_tensor_v3") && storage->element == 1;
    if (says && named_type(pickle, pickle_item(pickle, arguments, 6), &out->type)) {
        return STATUS_OK;
    }
    return error_set(reader->err, STATUS_UNSUPPORTED,
                     "tensor %s has type %.*s, which is not supported", reader->name,
                     storage->type_name.size < 32 ? (int)storage->type_name.size : 32,
                     (const char *)storage->type_name.data);
}

static enum status read_shape(const struct reader *reader, struct tensor *out, struct view *view,
                              uint32_t arguments) {
    const struct pickle *pickle = reader->pickle;
    uint32_t shape = pickle_item(pickle, arguments, 2), strides = pickle_item(pickle, arguments, 3);
    const struct pickle_value *sizes = pickle_get(pickle, shape),
                              *steps = pickle_get(pickle, strides);
    bool good = pickle_read_size(pickle, pickle_item(pickle, arguments, 1), &view->offset) &&
                sizes && sizes->kind == PICKLE_TUPLE && steps && steps->kind == PICKLE_TUPLE &&
                sizes->count == steps->count && sizes->count <= TENSOR_RANK_MAX;
    out->rank = good ? sizes->count : 0;
    view->elements = 1;
    for (uint32_t i = 0; i < out->rank && good; i++) {
        good = pickle_read_size(pickle, pickle_item(pickle, shape, i), &out->shape[i]) &&
               pickle_read_size(pickle, pickle_item(pickle, strides, i), &view->strides[i]) &&
               size_multiply(&view->elements, view->elements, out->shape[i]);
    }
    if (good) return STATUS_OK;
    return error_set(reader->err, STATUS_UNPROCESSABLE,
                     "tensor %s: an offset, a shape and strides of at most %d whole numbers are "
                     "expected",
                     reader->name, TENSOR_RANK_MAX);
}

/* The elements of the storage up to the tensor's last; SIZE_MAX when that is not to be
 * counted. */
static size_t reach(const struct tensor *tensor, const struct view *view) {
    size_t last = view->offset;
    if (!view->elements) return 0;
    for (uint32_t i = 0; i < tensor->rank; i++) {
        size_t step;
        if (!size_multiply(&step, tensor->shape[i] - 1, view->strides[i]) ||
            step > SIZE_MAX - 1 - last) {
            return SIZE_MAX;
        }
        last += step;
    }
    return last + 1;
}

static enum status check_view(const struct reader *reader, const struct tensor *tensor,
                              const struct view *view) {
    const struct storage *storage = view->storage;
    size_t size = tensor_type_size(tensor->type), bytes, end = reach(tensor, view), needed;
    char shape[96];
    tensor_shape_text(tensor, shape, sizeof(shape));
    if (!storage->found) {
        return error_set(reader->err, STATUS_UNPROCESSABLE,
                         "tensor %.120s has no data: storage %.*s is missing", reader->name,
                         (int)storage->key.size, (const char *)storage->key.data);
    }
    if (!size_multiply(&bytes, storage->count, storage->element) || storage->data.size != bytes) {
        return error_set(reader->err, STATUS_UNPROCESSABLE,
                         "tensor %.120s has %zu bytes of data in the file, %zu elements of %zu "
                         "bytes are expected",
                         reader->name, storage->data.size, storage->count, storage->element);
    }
    if (!size_multiply(&needed, end, size) || needed > bytes || view->elements > bytes / size) {
        return error_set(reader->err, STATUS_UNPROCESSABLE,
                         "tensor %.120s of shape %s does not lie within its storage of %zu bytes",
                         reader->name, shape, bytes);
    }
    return STATUS_OK;
}

static bool is_contiguous(const struct tensor *tensor, const struct view *view) {
    size_t step = 1;
    for (uint32_t i = tensor->rank; i-- > 0;) {
        if (tensor->shape[i] != 1 && view->strides[i] != step) return false;
        step *= tensor->shape[i];
    }
    return true;
}

/* Row by row from wherever the strides say; everything has been checked. */
static void copy_view(uint8_t *to, const uint8_t *from, const struct tensor *tensor,
                      const struct view *view) {
    size_t size = tensor_type_size(tensor->type), at = view->offset;
    size_t index[TENSOR_RANK_MAX] = {0};
    for (size_t i = 0; i < view->elements; i++) {
        memcpy(to + i * size, from + at * size, size);
        for (uint32_t d = tensor->rank; d-- > 0;) {
            at += view->strides[d];
            if (++index[d] < tensor->shape[d]) break;
            at -= view->strides[d] * tensor->shape[d];
            index[d] = 0;
        }
    }
}

static enum status set_data(struct reader *reader, struct tensor *out, const struct view *view) {
    size_t size = view->elements * tensor_type_size(out->type);
    const uint8_t *from = view->storage->data.data;
    out->data = (struct bytes){.data = from, .size = size};
    if (!view->elements) return STATUS_OK;
    if (size > reader->views_left) {
        return error_set(reader->err, STATUS_TOO_LARGE,
                         "tensor %s: the tensors are more than %d times as large as the file",
                         reader->name, SHARING_MAX);
    }
    reader->views_left -= size;
    if (is_contiguous(out, view)) {
        out->data.data += view->offset * tensor_type_size(out->type);
        return STATUS_OK;
    }
    if (size > reader->copies_left) {
        return error_set(reader->err, STATUS_TOO_LARGE,
                         "tensor %s: the tensors that are not contiguous are larger than the file",
                         reader->name);
    }
    reader->copies_left -= size;
    out->owned = malloc(size);
    if (!out->owned) {
        return error_set(reader->err, STATUS_NO_MEMORY, "out of memory for tensor %s",
                         reader->name);
    }
    copy_view(out->owned, from, out, view);
    out->data.data = out->owned;
    return STATUS_OK;
}

/* ---- the walk ---- */

static enum status grow(struct reader *reader) {
    struct tensors *out = reader->out;
    if (out->count < reader->capacity) return STATUS_OK;
    size_t capacity = reader->capacity ? 2 * reader->capacity : 256;
    struct tensor *list =
        capacity > TENSORS_MAX ? NULL : realloc(out->list, capacity * sizeof(*list));
    if (!list) {
        return error_set(reader->err, STATUS_TOO_LARGE,
                         "more than %d tensors, or no memory for them", TENSORS_MAX);
    }
    out->list = list;
    reader->capacity = capacity;
    return STATUS_OK;
}

static enum status add_tensor(struct reader *reader, uint32_t callee, uint32_t arguments) {
    struct view view;
    struct tensor tensor = {0};
    enum status status = grow(reader);
    if (!status) status = read_type(reader, &tensor, &view, callee, arguments);
    if (!status) status = read_shape(reader, &tensor, &view, arguments);
    if (!status) status = check_view(reader, &tensor, &view);
    if (!status) status = set_data(reader, &tensor, &view);
    if (status) return status;
    tensor.name = strdup(reader->name);
    if (!tensor.name) {
        free(tensor.owned);
        return error_set(reader->err, STATUS_NO_MEMORY, "out of memory for a tensor's name");
    }
    reader->out->list[reader->out->count++] = tensor;
    return STATUS_OK;
}

/* Appends a part to the name; `size` is the name's so far and becomes its new one. */
static enum status push_name(struct reader *reader, size_t *size, struct bytes part,
                             const char *end) {
    size_t more = part.size + strlen(end);
    if (more > TENSOR_NAME_MAX - *size || !tensor_name_is_plain(part)) {
        return error_set(reader->err, STATUS_UNPROCESSABLE,
                         "a tensor below \"%.100s\" has a name of %zu bytes or with control "
                         "characters, at most %d are expected",
                         reader->name, *size + more, TENSOR_NAME_MAX);
    }
    memcpy(reader->name + *size, part.data, part.size);
    *size += part.size;
    snprintf(reader->name + *size, sizeof(reader->name) - *size, "%s", end);
    *size += strlen(end);
    return STATUS_OK;
}

enum what { TENSORS = 1, MODULES = 2 };

static enum status walk(struct reader *reader, uint32_t value, size_t size, int depth);

/* The tensors of a dictionary, and what is in its modules. */
static enum status walk_items(struct reader *reader, uint32_t dict, size_t size, int depth,
                              unsigned what) {
    const struct pickle *pickle = reader->pickle;
    uint32_t key, value, callee, arguments;
    if (!is_dict(pickle, dict)) return STATUS_OK;
    struct pairs pairs = pairs_of(pickle, dict);
    enum status status = STATUS_OK;
    while (!status && next_pair(&pairs, &key, &value)) {
        const struct pickle_value *name = pickle_get(pickle, key),
                                  *item = pickle_get(pickle, value);
        size_t inner = size;
        if (++reader->steps > STEPS_MAX) {
            return error_set(reader->err, STATUS_TOO_LARGE, "more than %d items to look at",
                             STEPS_MAX);
        }
        if (!name || name->kind != PICKLE_TEXT || !item || item->kind != PICKLE_OBJECT) continue;
        if (find_rebuild(pickle, value, &callee, &arguments)) {
            if (!(what & TENSORS)) continue;
            status = push_name(reader, &inner, name->text, "");
            if (!status) status = add_tensor(reader, callee, arguments);
        } else if (what & MODULES && !is_ordered_dict(pickle, value)) {
            status = push_name(reader, &inner, name->text, ".");
            if (!status) status = walk(reader, value, inner, depth + 1);
        }
        reader->name[size] = 0;
    }
    return status;
}

/* A dictionary of tensors; a module of torch.nn, whose state sorts them; or an object of
 * TorchScript, whose attributes they are. */
static enum status walk(struct reader *reader, uint32_t value, size_t size, int depth) {
    const struct pickle *pickle = reader->pickle;
    if (depth > DEPTH_MAX) {
        return error_set(reader->err, STATUS_UNPROCESSABLE,
                         "modules are nested more than %d deep at %.120s", DEPTH_MAX, reader->name);
    }
    uint32_t dict = value;
    if (!is_dict(pickle, value)) dict = pickle_get(pickle, value)->state;
    uint32_t parameters = get(pickle, dict, "_parameters", &reader->steps),
             modules = get(pickle, dict, "_modules", &reader->steps);
    if (parameters == PICKLE_NOTHING || modules == PICKLE_NOTHING) {
        return walk_items(reader, dict, size, depth, TENSORS | MODULES);
    }
    enum status status = walk_items(reader, parameters, size, depth, TENSORS);
    if (!status) {
        status =
            walk_items(reader, get(pickle, dict, "_buffers", &reader->steps), size, depth, TENSORS);
    }
    return status ? status : walk_items(reader, modules, size, depth, MODULES);
}

/* What a training checkpoint calls its weights. */
static uint32_t find_weights(const struct pickle *pickle) {
    static const char *const names[] = {"state_dict", "model_state_dict", "model", "module", "ema"};
    uint32_t value = pickle->root, callee, arguments;
    size_t steps = 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        uint32_t inner = get(pickle, value, names[i], &steps);
        const struct pickle_value *found = pickle_get(pickle, inner);
        bool container = found && (found->kind == PICKLE_DICT || found->kind == PICKLE_OBJECT);
        if (!container || find_rebuild(pickle, inner, &callee, &arguments)) continue;
        return inner;
    }
    return value;
}

enum status state_dict_read(struct tensors *out, const struct pickle *pickle,
                            const struct storages *storages, size_t file_size, struct error *err) {
    struct reader reader = {
        .out = out, .pickle = pickle, .storages = storages, .copies_left = file_size, .err = err};
    *out = (struct tensors){0};
    if (!size_multiply(&reader.views_left, file_size, SHARING_MAX)) reader.views_left = SIZE_MAX;
    uint32_t weights = find_weights(pickle);
    enum pickle_kind kind = pickle_get(pickle, weights)->kind;
    enum status status = STATUS_OK;
    if (kind == PICKLE_DICT || kind == PICKLE_OBJECT) status = walk(&reader, weights, 0, 0);
    if (!status && !out->count) {
        status = error_set(err, STATUS_UNPROCESSABLE,
                           "the pickle has no tensors: a dictionary of them, a checkpoint with a "
                           "state_dict or a module is expected");
    }
    if (!status) status = tensors_sort_unique(out, err);
    if (status) tensors_free(out);
    return status;
}
