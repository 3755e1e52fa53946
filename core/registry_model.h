/* registry_model.h - copies of what is configured of a model. For registry.c and residents.c. */
#ifndef CORE_REGISTRY_MODEL_H
#define CORE_REGISTRY_MODEL_H

#include "core/registry.h"

struct registry_copy {
    struct registry_model model;
    char **strings; /* [strings_count]: what the model's strings are */
    size_t strings_count;
};

/* On failure there is nothing to free. */
enum status registry_copy_init(struct registry_copy *out, const struct registry_model *from,
                               struct error *err);
/* Zeroed memory is allowed. */
void registry_copy_free(struct registry_copy *copy);

/* Whether both say the same of how a model is opened. */
bool registry_model_same_engine(const struct registry_model *a, const struct registry_model *b);
/* Whether it has that name or alias. */
bool registry_model_is_called(const struct registry_model *model, const char *name);

/* STATUS_CONFLICT when a name or alias is there twice. */
enum status registry_model_check_names(const struct registry_model *models, size_t count,
                                       struct error *err);

#endif
