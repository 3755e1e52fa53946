#include "core/checkpoint/checkpoint.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/checkpoint/config_hf.h"
#include "core/checkpoint/config_open_clip.h"
#include "core/checkpoint/config_preprocessor.h"
#include "core/checkpoint/layout.h"

enum { CONFIG_SIZE_MAX = 16 << 20 };

typedef enum status parse_fn(struct model_config *out, struct bytes json, struct error *err);

/* Parses a file and takes it into the digest. */
static enum status read_config(struct checkpoint *out, const char *directory, const char *name,
                               parse_fn *parse, struct error *err) {
    char *path = file_join(directory, name);
    if (!path) return error_set(err, STATUS_NO_MEMORY, "out of memory for a path");
    struct buffer text;
    buffer_init(&text, CONFIG_SIZE_MAX);
    enum status status = file_read(&text, path, err);
    if (!status) status = parse(&out->config, buffer_view(&text), err);
    if (!status) status = buffer_append(&text, out->config_digest, SHA256_SIZE, err);
    if (!status) sha256(out->config_digest, buffer_view(&text));
    buffer_free(&text);
    free(path);
    return status;
}

static bool ends_with(const char *name, const char *ending) {
    size_t size = strlen(name), tail = strlen(ending);
    return size > tail && strcmp(name + size - tail, ending) == 0;
}

/* A copy of the name of the only file with one of these endings. NULL if there is none, or
 * more than one: then it is not for us to choose; or, with an error, if nobody may look. */
static char *find_only(const char *directory, const char *const *endings, size_t count,
                       struct error *err) {
    DIR *entries = opendir(directory);
    if (!entries) {
        error_set_errno(err, error_errno_status(), "open", directory);
        return NULL;
    }
    char *only = NULL;
    size_t found = 0;
    const struct dirent *entry;
    while ((entry = readdir(entries))) {
        bool fits = false;
        for (size_t i = 0; i < count; i++) fits |= ends_with(entry->d_name, endings[i]);
        if (!fits || found++) continue;
        only = strdup(entry->d_name);
    }
    closedir(entries);
    if (found == 1) return only;
    free(only);
    return NULL;
}

/* The weight files in open_clip's order of preference, which is safetensors first. The
 * caller frees the name. */
static char *find_weights(const char *directory, struct error *err) {
    static const char *const names[] = {
        "open_clip_model.safetensors", "open_clip_pytorch_model.safetensors",
        "open_clip_pytorch_model.bin", "open_clip_pytorch_model.pth",
        "model.safetensors",           "model.safetensors.index.json",
        "pytorch_model.bin",           "pytorch_model.bin.index.json",
    };
    static const char *const endings[] = {".safetensors", ".bin", ".pt", ".pth"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (layout_has(directory, names[i])) return strdup(names[i]);
    }
    char *only = find_only(directory, endings, 1, err);
    if (!only) only = find_only(directory, endings + 1, 3, err);
    if (!only) {
        error_set(err, STATUS_NOT_FOUND,
                  "%.160s has no weights: open_clip_model.safetensors, model.safetensors, "
                  "pytorch_model.bin or a single file of another name is expected",
                  directory);
    }
    return only;
}

/* A directory may hold both forms; configuration and weights must belong together. */
static enum status read_configs(struct checkpoint *out, const char *directory, const char *weights,
                                struct error *err) {
    bool open_clip = layout_has(directory, "open_clip_config.json"),
         hf = layout_has(directory, "config.json");
    if (!open_clip && !hf) {
        return error_set(err, STATUS_NOT_FOUND,
                         "%.160s has no configuration: open_clip_config.json or config.json is "
                         "expected beside %.60s",
                         directory, weights);
    }
    if (open_clip && (!hf || strncmp(weights, "open_clip", 9) == 0)) {
        return read_config(out, directory, "open_clip_config.json", config_open_clip_parse, err);
    }
    enum status status = read_config(out, directory, "config.json", config_hf_parse, err);
    if (!status && layout_has(directory, "processor_config.json"))
        status = read_config(out, directory, "processor_config.json", config_processor_parse, err);
    if (status || out->config.preprocess_found) return status;
    if (!layout_has(directory, "preprocessor_config.json")) return STATUS_OK;
    return read_config(out, directory, "preprocessor_config.json", config_preprocessor_parse, err);
}

static enum status read_directory(struct checkpoint *out, const char *directory,
                                  struct error *err) {
    /* Else every file in it would seem to be missing. */
    if (access(directory, X_OK))
        return error_set_errno(err, error_errno_status(), "open", directory);
    char *weights = find_weights(directory, err);
    if (!weights) return err->status ? err->status : STATUS_NO_MEMORY;
    enum status status = read_configs(out, directory, weights, err);
    char *path = file_join(directory, weights);
    if (!path)
        status = error_set(err, STATUS_NO_MEMORY, "out of memory for a path");
    else if (!status)
        status = weights_open(&out->weights, path, err);
    free(path);
    free(weights);
    return status;
}

enum status checkpoint_read(struct checkpoint *out, const char *path, struct error *err) {
    struct error local = ERROR_NONE;
    if (!err) err = &local;
    struct stat info;
    memset(out, 0, sizeof(*out));
    config_init(&out->config);
    if (stat(path, &info)) return error_set_errno(err, error_errno_status(), "open", path);
    if (!S_ISDIR(info.st_mode)) return weights_open(&out->weights, path, err);
    char *directory = layout_weights(path);
    if (!directory) return error_set(err, STATUS_NO_MEMORY, "out of memory for a path");
    enum status status = read_directory(out, directory, err);
    free(directory);
    return status;
}
