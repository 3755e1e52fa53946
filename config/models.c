/* models.c - the `models` list, or the one model that takes its place. */
#include "config/models.h"

#include <stdio.h>
#include <string.h>

#include "config/schema.h"
#include "config/storage.h"
#include "config/value.h"

enum { MODEL_NAME_MAX = 128, COSINE_MIN_PPM = 999000, KEY_SIZE = SCHEMA_NAME_SIZE + 32 };

/* What a model is called when nobody says: the last part of its path, without
 * the suffix of a weight file. */
static const char *name_of_path(struct config *config, const char *path) {
    static const char suffix[] = ".safetensors";
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/') end--;
    size_t start = end;
    while (start && path[start - 1] != '/') start--;
    size_t size = end - start;
    if (size > sizeof(suffix) - 1 &&
        !strncmp(path + end - (sizeof(suffix) - 1), suffix, sizeof(suffix) - 1))
        size -= sizeof(suffix) - 1;
    bool dots = size <= 2 && !strncmp(path + start, "..", size);
    return dots ? "default" : storage_text(config->storage, path + start, size);
}

static enum status read_aliases(struct config *config, struct registry_model *model,
                                const struct config_file_model *from, struct error *err) {
    if (!from->aliases_count) return STATUS_OK;
    model->aliases = storage_take(config->storage, from->aliases_count * sizeof(*model->aliases));
    if (!model->aliases) return error_set(err, STATUS_NO_MEMORY, "out of memory");
    for (; model->aliases_count < from->aliases_count; model->aliases_count++) {
        const char *alias = from->aliases[model->aliases_count];
        const char *copy = storage_text(config->storage, alias, strlen(alias));
        if (!copy) return error_set(err, STATUS_NO_MEMORY, "out of memory");
        model->aliases[model->aliases_count] = copy;
    }
    return STATUS_OK;
}

static enum status read_file_model(struct config *config, struct registry_model *model,
                                   const struct config_file *file, size_t index,
                                   struct error *err) {
    const struct config_file_model *from = &config_file_values(file)->models[index];
    char where[KEY_SIZE];
    for (size_t i = 0; i < schema_model_keys_count; i++) {
        const struct schema_key *key = &schema_model_keys[i];
        if (!from->values[i]) continue;
        struct error found = ERROR_NONE;
        if (value_read(model, key, from->values[i], config->storage, &found) == STATUS_OK) continue;
        snprintf(where, sizeof(where), "models[%zu].%s", index, key->name);
        return config_file_report(file, where, found.message, err);
    }
    if (!model->engine.path) {
        snprintf(where, sizeof(where), "models[%zu]", index);
        return config_file_report(file, where, "has no path, expected path: DIRECTORY", err);
    }
    if (!model->engine.name) model->engine.name = name_of_path(config, model->engine.path);
    if (!model->engine.name) return error_set(err, STATUS_NO_MEMORY, "out of memory");
    return read_aliases(config, model, from, err);
}
static enum status make_models(struct config *config, size_t count, struct error *err) {
    config->models = storage_take(config->storage, count * sizeof(*config->models));
    if (!config->models) return error_set(err, STATUS_NO_MEMORY, "out of memory");
    config->models_count = count;
    for (size_t i = 0; i < count; i++) config->models[i].engine.cosine_min_ppm = COSINE_MIN_PPM;
    return STATUS_OK;
}

/* Every name and alias must be sane and taken once. */
static enum status check_name(const struct config *config, const char *name, struct error *err) {
    size_t size = strlen(name);
    if (size == 0 || size > MODEL_NAME_MAX)
        return error_set(err, STATUS_INVALID, "the name '%.60s' has %zu bytes, expected 1 to %d",
                         name, size, MODEL_NAME_MAX);
    for (const char *c = name; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return error_set(err, STATUS_INVALID, "a name has a control character");
    }
    size_t same = 0;
    for (size_t i = 0; i < config->models_count; i++) {
        const struct registry_model *model = &config->models[i];
        same += !strcmp(model->engine.name, name);
        for (size_t k = 0; k < model->aliases_count; k++) same += !strcmp(model->aliases[k], name);
    }
    if (same > 1) return error_set(err, STATUS_INVALID, "the name '%.60s' is given twice", name);
    return STATUS_OK;
}

static enum status check_model(const struct config *config, size_t index, struct error *err) {
    const struct registry_model *model = &config->models[index];
    enum status status = check_name(config, model->engine.name, err);
    for (size_t i = 0; i < model->aliases_count && status == STATUS_OK; i++)
        status = check_name(config, model->aliases[i], err);
    if (status != STATUS_OK || !model->is_default) return status;
    for (size_t i = 0; i < index; i++) {
        if (config->models[i].is_default)
            return error_set(err, STATUS_INVALID, "is a second default, expected exactly one");
    }
    return STATUS_OK;
}

enum status models_read(struct config *config, const struct config_file *file, struct error *err) {
    size_t count = config_file_values(file)->models_count;
    enum status status = make_models(config, count, err);
    bool has_default = count <= 1;
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        status = read_file_model(config, &config->models[i], file, i, err);
        has_default |= config->models[i].is_default;
    }
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        struct error found = ERROR_NONE;
        char where[KEY_SIZE];
        if (check_model(config, i, &found) == STATUS_OK) continue;
        snprintf(where, sizeof(where), "models[%zu]", i);
        status = config_file_report(file, where, found.message, err);
    }
    if (status == STATUS_OK && !has_default)
        return config_file_report(
            file, "models", "none is the default, expected default: true at exactly one", err);
    if (status == STATUS_OK && count == 1) config->models[0].is_default = true;
    return status;
}

enum status models_set(struct config *config, const char *path, struct error *err) {
    if (!*path) return error_set(err, STATUS_INVALID, "model: found '', expected a directory");
    enum status status = make_models(config, 1, err);
    if (status != STATUS_OK) return status;
    struct registry_model *model = &config->models[0];
    model->is_default = true;
    model->engine.path = storage_text(config->storage, path, strlen(path));
    model->engine.name = name_of_path(config, path);
    if (!model->engine.path || !model->engine.name)
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    return check_model(config, 0, err);
}
