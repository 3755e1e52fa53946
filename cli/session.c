#include "cli/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/console.h"
#include "cli/model_path.h"
#include "core/base/clock.h"

enum { PATH_SIZE = 4096, FLAG_SIZE = PATH_SIZE + 8 };

/* The file to read, in `buffer` or as given; NULL for none. */
static const char *find_config(const char *path, char buffer[PATH_SIZE]) {
    const char *variable = getenv("CLIPD_CONFIG");
    if (path) return path;
    if (variable && *variable) return variable;
    const char *folder = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    int size = -1;
    if (folder && *folder)
        size = snprintf(buffer, PATH_SIZE, "%s/clipd/clipd.yaml", folder);
    else if (home && *home)
        size = snprintf(buffer, PATH_SIZE, "%s/.config/clipd/clipd.yaml", home);
    return size > 0 && size < PATH_SIZE && access(buffer, F_OK) == 0 ? buffer : NULL;
}

enum status session_read_config(struct config *out, const char *path, const char *const *flags,
                                struct error *err) {
    char buffer[PATH_SIZE];
    const char *found = find_config(path, buffer);
    enum status status = config_load(out, found, (const char *const *)environ, flags, err);
    if (status) return status;
    status = model_path_find(out, err);
    if (status) config_free(out);
    return status;
}

/* Who sets both variables means it: the image of a container names a file that way. */
static void warn_of_models_aside(const struct config *config, const char *path) {
    const char *variable = getenv("CLIPD_CONFIG");
    if (!config->models_aside || (!path && variable && *variable)) return;
    log_message(LOG_WARNING,
                "CLIPD_MODEL is set: the models of the configuration file are put aside");
}

int session_load_config(struct config *out, const char *path, const char *const *flags) {
    struct error err = ERROR_NONE;
    enum status status = session_read_config(out, path, flags, &err);
    if (status == STATUS_OK) {
        log_init(out->log_level, out->log_format);
        config_warn_of_unknown((const char *const *)environ);
        warn_of_models_aside(out, path);
        return EX_OK;
    }
    console_fail(&err);
    bool unread = status == STATUS_NOT_FOUND || status == STATUS_DENIED;
    return unread ? console_exit_code(status) : EX_CONFIG;
}

const struct engine_options *session_default_model(const struct config *config) {
    for (size_t i = 0; i < config->models_count; i++) {
        if (config->models[i].is_default) return &config->models[i].engine;
    }
    fputs("clipd: there is no model; expected --model DIR, CLIPD_MODEL=DIR, or a list of models in "
          "a configuration file\n",
          stderr);
    return NULL;
}

/* Else it is the address of a database. */
static bool is_directory(const char *store) {
    return !strstr(store, "://");
}

/* The folders above a path; what cannot be made is for the store to report. */
static void make_parents(const char *path) {
    char parent[PATH_SIZE];
    if (snprintf(parent, sizeof(parent), "%s", path) >= PATH_SIZE) return;
    for (char *slash = strchr(parent + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(parent, 0700);
        *slash = '/';
    }
}

enum status session_open_store(struct collections **out, const struct config *config,
                               struct registry *registry, struct error *err) {
    struct runtime *runtime = registry_runtime(registry);
    struct collections_options options = config->collections;
    if (is_directory(options.store)) make_parents(options.store);
    options.features = runtime_features(runtime);
    options.threads = runtime_options(runtime)->threads;
    return collections_open(out, &options, err);
}

/* "name=value" in `out`, and a pointer to it in the list. */
static int add_flag(char out[FLAG_SIZE], const char **flag, const char *name, const char *value) {
    if (!value) return EX_OK;
    *flag = out;
    if (snprintf(out, FLAG_SIZE, "%s=%s", name, value) < FLAG_SIZE) return EX_OK;
    fprintf(stderr, "clipd: the value of %s is longer than %d bytes\n", name, PATH_SIZE);
    return EX_USAGE;
}

/* A server is given its store; a command finds the user's own. */
int session_load(struct config *out, const struct session_options *options) {
    char model[FLAG_SIZE], store[FLAG_SIZE];
    const char *flags[3] = {NULL};
    struct error err = ERROR_NONE;
    int code = add_flag(model, &flags[0], "model", options->model);
    if (code == EX_OK)
        code = add_flag(store, &flags[flags[0] != NULL], "store.location", options->store);
    if (code == EX_OK) code = session_load_config(out, options->config, flags);
    if (code != EX_OK || !options->with_store) return code;
    if (config_default_store(out, (const char *const *)environ, &err) == STATUS_OK) return EX_OK;
    config_free(out);
    console_fail(&err);
    return EX_CONFIG;
}

static int open_model(struct session *session) {
    struct error err = ERROR_NONE;
    const struct engine_options *model = session_default_model(&session->config);
    if (!model) return EX_USAGE;
    if (model_path_check(model->path, &err) != STATUS_OK) return console_fail_at(model->path, &err);
    struct registry_model only = {.engine = *model, .is_default = true};
    struct registry_setup setup = {.models = &only, .models_count = 1};
    if (registry_configure(session->registry, &setup, &err) != STATUS_OK ||
        registry_acquire(session->registry, NULL, CLOCK_NEVER, &session->engine, &err) != STATUS_OK)
        return console_fail(&err);
    return EX_OK;
}

int session_open(struct session *out, const struct session_options *options) {
    *out = (struct session){0};
    int code = session_load(&out->config, options);
    if (code != EX_OK) return code;
    /* What a server says while it starts is noise in a pipe. */
    enum log_level level = out->config.log_level;
    log_init(level < LOG_WARNING ? LOG_WARNING : level, out->config.log_format);
    struct error err = ERROR_NONE;
    if (registry_create(&out->registry, &out->config.runtime, &err) != STATUS_OK)
        code = console_fail(&err);
    if (code == EX_OK && !options->no_model) code = open_model(out);
    if (code != EX_OK) session_close(out);
    return code;
}

int session_open_collections(struct session *session) {
    struct error err = ERROR_NONE;
    enum status status =
        session_open_store(&session->collections, &session->config, session->registry, &err);
    if (status == STATUS_OK) return EX_OK;
    int code = console_fail_at("the store of collections", &err);
    if (status == STATUS_UNAVAILABLE && is_directory(session->config.collections.store)) {
        fputs("clipd: if a server has it open, stop the server, or ask it over HTTP: "
              "/collections in openapi.yaml\n",
              stderr);
    }
    return code;
}

void session_close(struct session *session) {
    collections_close(session->collections);
    if (session->engine) registry_release(session->registry, session->engine);
    registry_destroy(session->registry);
    config_free(&session->config);
    *session = (struct session){0};
}
