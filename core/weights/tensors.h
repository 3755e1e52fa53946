/* tensors.h - a checkpoint's tensors by name, whatever file form they came in.
 *
 * The data stays where the file reader has it (a mapping); but for the views of PyTorch that
 * are not contiguous, nothing is copied. */
#ifndef CORE_WEIGHTS_TENSORS_H
#define CORE_WEIGHTS_TENSORS_H

#include <stdbool.h>

#include "core/base/bytes.h"

enum tensor_type {
    TENSOR_F64,
    TENSOR_F32,
    TENSOR_F16,
    TENSOR_BF16,
    TENSOR_I64,
    TENSOR_I32,
    TENSOR_I16,
    TENSOR_I8,
    TENSOR_U8,
    TENSOR_BOOL,
};

enum { TENSOR_RANK_MAX = 8, TENSOR_NAME_MAX = 255 };

struct tensor {
    char *name;
    enum tensor_type type;
    uint32_t rank;
    size_t shape[TENSOR_RANK_MAX];
    struct bytes data; /* little-endian, row-major; not necessarily aligned */
    uint8_t *owned;    /* the data, when it is a copy; else NULL */
    bool mapped;       /* the data is in a mapping, whose pages can be given back */
    bool used;         /* set when a model takes it, so that leftovers can be named */
    bool not_finite;   /* set when infinity or NaN was read from it */
};

struct tensors {
    struct tensor *list; /* [count], sorted by name */
    size_t count;
};

/* Bytes of one element. */
size_t tensor_type_size(enum tensor_type type);
/* "F32" ... */
const char *tensor_type_name(enum tensor_type type);
size_t tensor_elements(const struct tensor *tensor);
/* A name, or a part of one, of at most TENSOR_NAME_MAX bytes and without control characters. What
 * training puts before names may be nested, so that very long ones would take very long. */
bool tensor_name_is_plain(struct bytes name);
/* F32, F16 or BF16: what tensor_widen() takes. */
bool tensor_is_floating(const struct tensor *tensor);
/* "[768, 3, 32, 32]" into `text`. */
void tensor_shape_text(const struct tensor *tensor, char *text, size_t size);

/* Sorts by name, as tensors_find() needs. */
void tensors_sort(struct tensors *tensors);
/* The same; STATUS_UNPROCESSABLE if two have one name. */
enum status tensors_sort_unique(struct tensors *tensors, struct error *err);
/* NULL if there is none. */
struct tensor *tensors_find(const struct tensors *tensors, const char *name);
bool tensors_any_with_prefix(const struct tensors *tensors, const char *prefix);
/* A part of the names that TinyCLIP's pruning adds: no weights, but they tell of it. */
#define TENSORS_PRUNING_MASK "l0_module"
/* Removes what training puts before every name: "module.", "_orig_mod.", "model.", and before
 * those of each half: "_image_encoder.". STATUS_UNPROCESSABLE if that makes two one. A tower of
 * transformers that was saved alone gets its "text_model." or "vision_model." back. */
enum status tensors_strip(struct tensors *tensors, struct error *err);
/* Moves all of `from` to the end, unsorted; `from` is empty then. */
enum status tensors_move(struct tensors *tensors, struct tensors *from, struct error *err);
void tensors_free(struct tensors *tensors);
/* STATUS_UNPROCESSABLE names a tensor from which infinity or NaN was read. */
enum status tensors_check_finite(const struct tensors *tensors, struct error *err);

/* Element i as f32 from any of F32, F16, BF16, for a whole run of elements. */
void tensor_widen(float *out, const struct tensor *tensor, size_t first, size_t count);

#endif
