#include "cli/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/console.h"
#include "core/registry.h"

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

int session_load_config(struct config *out, const char *path, const char *const *flags) {
    char buffer[PATH_SIZE];
    struct error err = ERROR_NONE;
    enum status status =
        config_load(out, find_config(path, buffer), (const char *const *)environ, flags, &err);
    if (status == STATUS_OK) return EX_OK;
    console_fail(&err);
    return status == STATUS_NOT_FOUND ? EX_NOINPUT : EX_CONFIG;
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

enum status session_open_store(struct collections **out, const struct config *config,
                               struct registry *registry, struct error *err) {
    struct runtime *runtime = registry_runtime(registry);
    struct collections_options options = config->collections;
    options.features = runtime_features(runtime);
    options.threads = runtime_options(runtime)->threads;
    return collections_open(out, &options, err);
}

static int load(struct config *out, const struct session_options *options) {
    char model[FLAG_SIZE];
    const char *flags[] = {NULL, NULL};
    if (options->model) {
        if (snprintf(model, sizeof(model), "model=%s", options->model) >= FLAG_SIZE) {
            fprintf(stderr, "clipd: the path of the model is longer than %d bytes\n", PATH_SIZE);
            return EX_USAGE;
        }
        flags[0] = model;
    }
    return session_load_config(out, options->config, flags);
}

int session_open(struct session *out, const struct session_options *options) {
    *out = (struct session){0};
    int code = load(&out->config, options);
    if (code != EX_OK) return code;
    /* What a server says while it starts is noise in a pipe. */
    enum log_level level = out->config.log_level;
    log_init(level < LOG_WARNING ? LOG_WARNING : level, out->config.log_format);
    struct error err = ERROR_NONE;
    const struct engine_options *model = session_default_model(&out->config);
    if (!model) code = EX_USAGE;
    if (code == EX_OK && registry_create(&out->registry, &out->config.runtime, &err) != STATUS_OK)
        code = console_fail(&err);
    if (code == EX_OK && registry_add(out->registry, model, true, &err) != STATUS_OK)
        code = console_fail_at(model->path, &err);
    if (code == EX_OK && registry_acquire(out->registry, NULL, &out->engine, &err) != STATUS_OK)
        code = console_fail(&err);
    if (code != EX_OK) session_close(out);
    return code;
}

void session_close(struct session *session) {
    if (session->engine) registry_release(session->registry, session->engine);
    registry_destroy(session->registry);
    config_free(&session->config);
}
