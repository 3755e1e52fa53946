#include "core/weights/tensors.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    size_t size;
} types[] = {
    [TENSOR_F64] = {"F64", 8},   [TENSOR_F32] = {"F32", 4}, [TENSOR_F16] = {"F16", 2},
    [TENSOR_BF16] = {"BF16", 2}, [TENSOR_I64] = {"I64", 8}, [TENSOR_I32] = {"I32", 4},
    [TENSOR_I16] = {"I16", 2},   [TENSOR_I8] = {"I8", 1},   [TENSOR_U8] = {"U8", 1},
    [TENSOR_BOOL] = {"BOOL", 1},
};

size_t tensor_type_size(enum tensor_type type) {
    return types[type].size;
}

const char *tensor_type_name(enum tensor_type type) {
    return types[type].name;
}

size_t tensor_elements(const struct tensor *tensor) {
    return tensor->data.size / types[tensor->type].size;
}

bool tensor_name_is_plain(struct bytes name) {
    if (name.size > TENSOR_NAME_MAX) return false;
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] < 0x20 || name.data[i] == 0x7f) return false;
    }
    return true;
}

bool tensor_is_floating(const struct tensor *tensor) {
    return tensor->type == TENSOR_F32 || tensor->type == TENSOR_F16 || tensor->type == TENSOR_BF16;
}

void tensor_shape_text(const struct tensor *tensor, char *text, size_t size) {
    size_t used = (size_t)snprintf(text, size, "[");
    for (uint32_t i = 0; i < tensor->rank && used < size; i++) {
        int n = snprintf(text + used, size - used, "%s%zu", i ? ", " : "", tensor->shape[i]);
        used += (size_t)n;
    }
    if (used < size) snprintf(text + used, size - used, "]");
}

static int by_name(const void *a, const void *b) {
    const struct tensor *x = a, *y = b;
    return strcmp(x->name, y->name);
}

void tensors_sort(struct tensors *tensors) {
    if (tensors->count) qsort(tensors->list, tensors->count, sizeof(*tensors->list), by_name);
}

enum status tensors_sort_unique(struct tensors *tensors, struct error *err) {
    tensors_sort(tensors);
    for (size_t i = 1; i < tensors->count; i++) {
        if (by_name(&tensors->list[i - 1], &tensors->list[i]) != 0) continue;
        return error_set(err, STATUS_UNPROCESSABLE, "there are two tensors %.160s",
                         tensors->list[i].name);
    }
    return STATUS_OK;
}

/* The first tensor whose name is not before `name`. */
static size_t lower_bound(const struct tensors *tensors, const char *name) {
    size_t low = 0, high = tensors->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(tensors->list[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct tensor *tensors_find(const struct tensors *tensors, const char *name) {
    size_t i = lower_bound(tensors, name);
    return i < tensors->count && !strcmp(tensors->list[i].name, name) ? &tensors->list[i] : NULL;
}

bool tensors_any_with_prefix(const struct tensors *tensors, const char *prefix) {
    size_t i = lower_bound(tensors, prefix);
    return i < tensors->count && !strncmp(tensors->list[i].name, prefix, strlen(prefix));
}

/* Sorted names that all begin alike stay sorted without their beginning. */
static bool strip(struct tensors *tensors, const char *prefix) {
    size_t size = strlen(prefix);
    for (size_t i = 0; i < tensors->count; i++) {
        if (strncmp(tensors->list[i].name, prefix, size) != 0) return false;
    }
    for (size_t i = 0; i < tensors->count; i++) {
        char *name = tensors->list[i].name;
        memmove(name, name + size, strlen(name) - size + 1);
    }
    return tensors->count != 0;
}

/* TinyCLIP trains its halves as models of their own (SPEC 7.3). Its masks stay where they are:
 * what they have cut off is gone from the weights. */
static void join_halves(struct tensors *tensors) {
    static const char *const halves[] = {
        "_image_encoder.",
        "_text_encoder.",
        "_logit_scale.",
        "image_encoder_without_ddp.",
        "text_encoder_without_ddp.",
    };
    for (size_t i = 0; i < tensors->count; i++) {
        char *name = tensors->list[i].name;
        if (strstr(name, TENSORS_PRUNING_MASK)) continue;
        for (size_t j = 0; j < sizeof(halves) / sizeof(halves[0]); j++) {
            size_t size = strlen(halves[j]);
            if (strncmp(name, halves[j], size) != 0) continue;
            while (!strncmp(name + size, "module.", 7)) size += 7;
            memmove(name, name + size, strlen(name) - size + 1);
            break;
        }
    }
}

/* From version 5 on, transformers saves a tower alone without the prefix that it has beside the
 * other. All names get the same, so that they stay sorted. */
static enum status name_tower(struct tensors *tensors, struct error *err) {
    static const struct {
        const char *sign, *prefix;
    } towers[] = {
        {"embeddings.token_embedding.", "text_model."},
        {"embeddings.patch_embedding.", "vision_model."},
    };
    size_t kind = 0, kinds = sizeof(towers) / sizeof(towers[0]);
    while (kind < kinds && !tensors_any_with_prefix(tensors, towers[kind].sign)) kind++;
    for (size_t i = 0; kind < kinds && i < tensors->count; i++) {
        char *name;
        if (asprintf(&name, "%s%s", towers[kind].prefix, tensors->list[i].name) < 0)
            return error_set(err, STATUS_NO_MEMORY, "out of memory for the tensors' names");
        free(tensors->list[i].name);
        tensors->list[i].name = name;
    }
    return STATUS_OK;
}

enum status tensors_strip(struct tensors *tensors, struct error *err) {
    static const char *const prefixes[] = {"module.", "_orig_mod.", "model."};
    /* They may be nested, in any order. */
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]);) {
        i = strip(tensors, prefixes[i]) ? 0 : i + 1;
    }
    join_halves(tensors);
    enum status status = tensors_sort_unique(tensors, err);
    return status ? status : name_tower(tensors, err);
}

enum status tensors_move(struct tensors *tensors, struct tensors *from, struct error *err) {
    size_t count = tensors->count + from->count;
    struct tensor *list = realloc(tensors->list, (count + 1) * sizeof(*list));
    if (!list) return error_set(err, STATUS_NO_MEMORY, "out of memory for the tensors' names");
    if (from->count) memcpy(list + tensors->count, from->list, from->count * sizeof(*list));
    *tensors = (struct tensors){.list = list, .count = count};
    free(from->list);
    *from = (struct tensors){0};
    return STATUS_OK;
}

void tensors_free(struct tensors *tensors) {
    for (size_t i = 0; i < tensors->count; i++) {
        free(tensors->list[i].name);
        free(tensors->list[i].owned);
    }
    free(tensors->list);
    *tensors = (struct tensors){0};
}

enum status tensors_check_finite(const struct tensors *tensors, struct error *err) {
    for (size_t i = 0; i < tensors->count; i++) {
        if (!tensors->list[i].not_finite) continue;
        return error_set(err, STATUS_UNPROCESSABLE,
                         "tensor %.160s has a number that is infinite or not a number",
                         tensors->list[i].name);
    }
    return STATUS_OK;
}

static float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* IEEE half to single: the exponent is rebiased by a multiplication, which also
 * gives subnormals their value. */
static float widen_f16(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t rest = (uint32_t)(half & 0x7fff) << 13;
    float value = float_of(rest) * 0x1p112f;
    if ((half & 0x7c00) == 0x7c00) value = float_of(rest | 0x7f800000); /* infinity, NaN */
    return sign ? -value : value;
}

void tensor_widen(float *out, const struct tensor *tensor, size_t first, size_t count) {
    const uint8_t *from = tensor->data.data + first * types[tensor->type].size;
    switch (tensor->type) {
    case TENSOR_F32: memcpy(out, from, count * sizeof(float)); return;
    case TENSOR_F16:
        for (size_t i = 0; i < count; i++) {
            uint16_t half;
            memcpy(&half, from + 2 * i, sizeof(half));
            out[i] = widen_f16(half);
        }
        return;
    case TENSOR_BF16:
        for (size_t i = 0; i < count; i++) {
            uint16_t half;
            memcpy(&half, from + 2 * i, sizeof(half));
            out[i] = float_of((uint32_t)half << 16);
        }
        return;
    default: assert(!"a tensor that is not floating point");
    }
}
