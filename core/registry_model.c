/* The options of an engine are numbers and a handful of strings; one list of the strings
 * serves copying and comparing. */
#include "core/registry_model.h"

#include <stdlib.h>
#include <string.h>

enum { STRINGS = 9 };

static const size_t strings[STRINGS] = {
    offsetof(struct engine_options, name),       offsetof(struct engine_options, path),
    offsetof(struct engine_options, vocab),      offsetof(struct engine_options, tokenizer),
    offsetof(struct engine_options, activation), offsetof(struct engine_options, precision),
    offsetof(struct engine_options, cache),      offsetof(struct engine_options, preprocess),
    offsetof(struct engine_options, profile),
};

static const char *string_at(const struct engine_options *options, size_t index) {
    const char *string;
    memcpy(&string, (const char *)options + strings[index], sizeof(string));
    return string;
}

/* A copy of `from` that `copy` owns; NULL without memory, or of NULL. */
static const char *keep(struct registry_copy *copy, const char *from, bool *complete) {
    if (!from) return NULL;
    char *string = strdup(from);
    *complete = *complete && string;
    if (string) copy->strings[copy->strings_count++] = string;
    return string;
}

enum status registry_copy_init(struct registry_copy *out, const struct registry_model *from,
                               struct error *err) {
    size_t aliases = from->aliases_count;
    *out = (struct registry_copy){.model = *from};
    out->strings = calloc(STRINGS + aliases, sizeof(*out->strings));
    out->model.aliases = calloc(aliases + 1, sizeof(*out->model.aliases));
    bool complete = out->strings && out->model.aliases;
    for (size_t i = 0; i < STRINGS && complete; i++) {
        const char *string = keep(out, string_at(&from->engine, i), &complete);
        memcpy((char *)&out->model.engine + strings[i], &string, sizeof(string));
    }
    for (size_t i = 0; i < aliases && complete; i++)
        out->model.aliases[i] = keep(out, from->aliases[i], &complete);
    if (complete) return STATUS_OK;
    registry_copy_free(out);
    return error_set(err, STATUS_NO_MEMORY, "out of memory for a model's options");
}

void registry_copy_free(struct registry_copy *copy) {
    for (size_t i = 0; copy->strings && i < copy->strings_count; i++) free(copy->strings[i]);
    free(copy->strings);
    free(copy->model.aliases);
    *copy = (struct registry_copy){.strings = NULL};
}

static bool same_string(const char *a, const char *b) {
    return a && b ? !strcmp(a, b) : a == b;
}

bool registry_model_same_engine(const struct registry_model *a, const struct registry_model *b) {
    const struct engine_options *x = &a->engine, *y = &b->engine;
    for (size_t i = 0; i < STRINGS; i++) {
        if (!same_string(string_at(x, i), string_at(y, i))) return false;
    }
    return x->cosine_min_ppm == y->cosine_min_ppm && x->image_size == y->image_size &&
           x->head_width == y->head_width && x->exif_orientation == y->exif_orientation &&
           x->batch_max == y->batch_max && x->queue_limit == y->queue_limit &&
           x->image_limits.side_max == y->image_limits.side_max &&
           x->image_limits.pixels_max == y->image_limits.pixels_max;
}

bool registry_model_is_called(const struct registry_model *model, const char *name) {
    if (!strcmp(model->engine.name, name)) return true;
    for (size_t i = 0; i < model->aliases_count; i++) {
        if (!strcmp(model->aliases[i], name)) return true;
    }
    return false;
}

/* How many names and aliases of `model` are `name`. */
static size_t count_name(const struct registry_model *model, const char *name) {
    size_t count = !strcmp(model->engine.name, name);
    for (size_t i = 0; i < model->aliases_count; i++) count += !strcmp(model->aliases[i], name);
    return count;
}

static enum status check_name(const struct registry_model *models, size_t count, const char *name,
                              struct error *err) {
    size_t found = 0;
    for (size_t i = 0; i < count; i++) found += count_name(&models[i], name);
    if (found == 1) return STATUS_OK;
    return error_set(err, STATUS_CONFLICT, "two models are called \"%s\"", name);
}

enum status registry_model_check_names(const struct registry_model *models, size_t count,
                                       struct error *err) {
    enum status status = STATUS_OK;
    for (size_t i = 0; i < count && !status; i++) {
        status = check_name(models, count, models[i].engine.name, err);
        for (size_t k = 0; k < models[i].aliases_count && !status; k++)
            status = check_name(models, count, models[i].aliases[k], err);
    }
    return status;
}
