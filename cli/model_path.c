#include "cli/model_path.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/storage.h"
#include "hub/catalogue.h"
#include "hub/settings.h"
#include "hub/snapshot.h"

/* What exists is a path, whatever it looks like. */
static bool is_name(struct repository *out, const char *path) {
    return path && access(path, F_OK) != 0 && !catalogue_resolve(out, path, NULL);
}

/* The folder of a name that is in the cache, newly allocated; NULL for anything else. */
static char *find(const char *path) {
    struct repository repository;
    struct hub_settings settings;
    char *folder = NULL;
    /* Who has no home has no cache, and may still have paths. */
    if (!is_name(&repository, path) || settings_read(&settings, (const char *const *)environ, NULL))
        return NULL;
    if (snapshot_find(&folder, settings.cache, &repository, NULL)) folder = NULL;
    settings_free(&settings);
    return folder;
}

enum status model_path_find(struct config *config, struct error *err) {
    for (size_t i = 0; i < config->models_count; i++) {
        const char **path = &config->models[i].engine.path;
        char *folder = find(*path);
        if (!folder) continue; /* which is reported when it is to be opened */
        *path = storage_text(config->storage, folder, strlen(folder));
        free(folder);
        if (!*path) return error_set(err, STATUS_NO_MEMORY, "out of memory");
    }
    return STATUS_OK;
}

enum status model_path_resolve(char **out, const char *path, struct error *err) {
    enum status status = STATUS_OK;
    *out = find(path);
    if (!*out) status = model_path_check(path, err);
    if (!*out && !status) *out = strdup(path);
    return status || *out ? status : error_set(err, STATUS_NO_MEMORY, "out of memory");
}

enum status model_path_check(const char *path, struct error *err) {
    struct repository repository;
    struct error found = ERROR_NONE;
    if (access(path, F_OK) == 0) return STATUS_OK;
    enum status status = catalogue_resolve(&repository, path, &found);
    if (status == STATUS_INVALID) return error_pass(err, &found);
    if (status) return STATUS_OK; /* a path that is not there */
    return error_set(err, STATUS_NOT_FOUND,
                     "there is no such folder, and no such model in the cache; to download it, "
                     "run: clipd pull %.200s",
                     path);
}
