/* Each source is applied over the one before: defaults, file, environment, flags.
 * All of them go through value_read(), and each puts in front of its message where
 * the value came from. */
#include "config/config.h"

#include <stdio.h>
#include <string.h>

#include "config/file.h"
#include "config/models.h"
#include "config/schema.h"
#include "config/storage.h"
#include "config/value.h"

enum {
    DRAIN_MS_DEFAULT = 10000,
    IMAGE_SIDE_DEFAULT = 16384,
    IMAGE_PIXELS_DEFAULT = 50000000,
    FOLDER_PATH_MAX = 4096
};

static enum status set_defaults(struct config *config, struct error *err) {
    *config = (struct config){
        .server = http_server_options_default,
        .api = api_options_default,
        .runtime = runtime_options_default,
        .image_limits = {.side_max = IMAGE_SIDE_DEFAULT, .pixels_max = IMAGE_PIXELS_DEFAULT},
        .log_level = LOG_INFO,
        .log_format = LOG_TEXT,
        .drain_ms = DRAIN_MS_DEFAULT,
        .precision = "auto",
        .cache_dir = "auto",
        .store_location = "none",
        .storage = storage_create(),
    };
    return config->storage ? STATUS_OK : error_set(err, STATUS_NO_MEMORY, "out of memory");
}

static enum status read_file(struct config *config, const char *path, bool with_models,
                             struct error *err) {
    struct config_file *file = NULL;
    enum status status = config_file_open(&file, path, err);
    if (status != STATUS_OK) return status;
    const struct config_file_values *values = config_file_values(file);
    for (size_t i = 0; i < schema_keys_count && status == STATUS_OK; i++) {
        const struct schema_key *key = &schema_keys[i];
        struct error found = ERROR_NONE;
        if (!values->values[i]) continue;
        if (value_read(config, key, values->values[i], config->storage, &found) != STATUS_OK)
            status = config_file_report(file, key->name, found.message, err);
    }
    if (status == STATUS_OK && with_models) status = models_read(config, file, err);
    config->models_aside = !with_models && values->models_count;
    config_file_close(file);
    return status;
}

/* The value of a variable; NULL when it is not set or empty. */
static const char *find_variable(const char *const *environment, const char *name) {
    size_t size = strlen(name);
    for (; *environment; environment++) {
        if (!strncmp(*environment, name, size) && (*environment)[size] == '=')
            return (*environment)[size + 1] ? *environment + size + 1 : NULL;
    }
    return NULL;
}

/* What Kubernetes tells every container of a Service called "clipd": CLIPD_SERVICE_HOST,
 * CLIPD_PORT=tcp://10.0.0.1:8080, CLIPD_PORT_8080_TCP_ADDR and others. */
static bool is_of_kubernetes(const char *variable) {
    return !strncmp(variable, "CLIPD_SERVICE_", 14) || !strncmp(variable, "CLIPD_PORT_", 11) ||
           (!strncmp(variable, "CLIPD_PORT=", 11) && strstr(variable, "://"));
}

static void warn_of_variable(const char *name) {
    static const char *const others[] = {"CLIPD_CONFIG", "CLIPD_MODEL"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (!strcmp(name, others[i])) return;
    }
    const struct schema_key *meant = NULL;
    char ours[SCHEMA_NAME_SIZE];
    for (size_t i = 0; i < schema_keys_count; i++) {
        schema_environment_name(ours, &schema_keys[i]);
        if (!strcmp(name, ours)) return;
        struct schema_key by_rule = {.name = schema_keys[i].name};
        schema_environment_name(ours, &by_rule);
        if (!strcmp(name, ours)) meant = &schema_keys[i];
    }
    if (meant) {
        schema_environment_name(ours, meant);
        log_message(LOG_WARNING, "the variable %s is none of clipd's: ignored; %s is %s", name,
                    meant->name, ours);
        return;
    }
    log_message(LOG_WARNING, "the variable %s is none of clipd's: ignored", name);
}

void config_warn_of_unknown(const char *const *environment) {
    for (; *environment; environment++) {
        if (strncmp(*environment, "CLIPD_", 6) != 0 || is_of_kubernetes(*environment)) continue;
        char name[SCHEMA_NAME_SIZE];
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(*environment, "="), *environment);
        warn_of_variable(name);
    }
}

static enum status read_environment(struct config *config, const char *const *environment,
                                    struct error *err) {
    for (size_t i = 0; i < schema_keys_count; i++) {
        char name[SCHEMA_NAME_SIZE];
        schema_environment_name(name, &schema_keys[i]);
        const char *text = find_variable(environment, name);
        struct error found = ERROR_NONE;
        if (text && value_read(config, &schema_keys[i], text, config->storage, &found) != STATUS_OK)
            return error_set_at(err, found.status, name, "%s: %s", name, found.message);
    }
    const char *port = find_variable(environment, "PORT");
    if (!port) return STATUS_OK;
    struct schema_key key = {.kind = SCHEMA_COUNT, .width = sizeof(uint32_t), .max = UINT16_MAX};
    uint32_t number = 0;
    struct error found = ERROR_NONE;
    if (value_read(&number, &key, port, config->storage, &found) != STATUS_OK)
        return error_set_at(err, found.status, "PORT", "PORT: %s", found.message);
    config->server.port = (uint16_t)number;
    return STATUS_OK;
}

/* The value of "name=value"; NULL when the flag has another name. */
static const char *flag_value(const char *flag, const char *name) {
    size_t size = strlen(name);
    return !strncmp(flag, name, size) && flag[size] == '=' ? flag + size + 1 : NULL;
}

static enum status read_flag(struct config *config, const char *flag, struct error *err) {
    char name[SCHEMA_NAME_SIZE];
    size_t size = strcspn(flag, "=");
    snprintf(name, sizeof(name), "%.*s", size < sizeof(name) ? (int)size : 0, flag);
    const struct schema_key *key = schema_find(name);
    if (!key || !flag[size])
        return error_set_at(err, STATUS_INVALID, name,
                            "flag '%.60s': expected name=value with a name of the configuration "
                            "table, such as server.listen",
                            flag);
    struct error found = ERROR_NONE;
    if (value_read(config, key, flag + size + 1, config->storage, &found) != STATUS_OK)
        return error_set_at(err, found.status, name, "flag %s: %s", name, found.message);
    return STATUS_OK;
}

static const char *find_model_path(const char *const *environment, const char *const *flags) {
    const char *path = find_variable(environment, "CLIPD_MODEL");
    for (; flags && *flags; flags++) {
        const char *flag = flag_value(*flags, "model");
        if (flag) path = flag;
    }
    return path;
}

/* A body limit above that of all bodies together could never be reached: such a request
 * would be turned away for ever, as if the server were busy. */
static enum status check_body(const struct config *config, const char *name, size_t body_max,
                              struct error *err) {
    if (body_max <= config->server.memory_max) return STATUS_OK;
    return error_set(err, STATUS_INVALID,
                     "%s is %zu bytes, expected at most server.memory_max, which is %zu", name,
                     body_max, config->server.memory_max);
}

static enum status load(struct config *config, const char *path, const char *const *environment,
                        const char *const *flags, struct error *err) {
    const char *model_path = find_model_path(environment, flags);
    enum status status = set_defaults(config, err);
    if (status == STATUS_OK && path) status = read_file(config, path, !model_path, err);
    /* Who gives a flag knows of it. */
    if (model_path != find_variable(environment, "CLIPD_MODEL")) config->models_aside = false;
    if (status == STATUS_OK) status = read_environment(config, environment, err);
    for (; flags && *flags && status == STATUS_OK; flags++) {
        if (!flag_value(*flags, "model")) status = read_flag(config, *flags, err);
    }
    if (status == STATUS_OK && model_path) status = models_set(config, model_path, err);
    if (status == STATUS_OK)
        status = check_body(config, "limits.body_max", config->api.body_max, err);
    if (status == STATUS_OK)
        status = check_body(config, "limits.text_body_max", config->api.text_body_max, err);
    return status;
}

/* A folder of the user's, by the XDG base directory specification. */
struct folder {
    const char *variable;
    const char *below_home;
};
static const struct folder cache_folder = {"XDG_CACHE_HOME", "/.cache"};
static const struct folder data_folder = {"XDG_DATA_HOME", "/.local/share"};

/* The directory that a setting stands for: "auto" is ours in the user's `folder`. NULL for
 * "none". */
static enum status find_folder(const char **out, struct config *config, const char *setting,
                               const struct folder *folder, const char *const *environment,
                               struct error *err) {
    const char *given = find_variable(environment, folder->variable);
    const char *home = find_variable(environment, "HOME");
    *out = strcmp(setting, "none") ? setting : NULL;
    if (strcmp(setting, "auto") != 0) return STATUS_OK;
    *out = NULL;
    /* The specification has relative paths ignored. */
    const char *base = given && *given == '/' ? given : home, *below = "";
    if (!base || *base != '/') return STATUS_OK;
    if (base == home) below = folder->below_home;
    struct buffer path;
    buffer_init(&path, FOLDER_PATH_MAX);
    enum status status = buffer_printf(&path, err, "%s%s/clipd", base, below);
    if (status == STATUS_OK) {
        *out = storage_text(config->storage, (const char *)path.data, path.size);
        if (!*out) status = error_set(err, STATUS_NO_MEMORY, "out of memory");
    }
    buffer_free(&path);
    return status;
}

/* Without a cache everything works; without the collections that were asked for it does not. */
static enum status find_store(struct config *config, const char *const *environment,
                              struct error *err) {
    const char **store = &config->collections.store;
    enum status status =
        find_folder(store, config, config->store_location, &data_folder, environment, err);
    if (status != STATUS_OK || *store || strcmp(config->store_location, "none") == 0) return status;
    return error_set_at(err, STATUS_INVALID, "store.location",
                        "store.location is auto, and neither XDG_DATA_HOME nor HOME names a "
                        "folder, expected a directory (--store DIR, CLIPD_STORE=DIR)");
}

/* Hands the models what is set for all of them, and the default one its precision. */
static enum status finish_models(struct config *config, const char *const *environment,
                                 struct error *err) {
    const char *cache;
    enum status status =
        find_folder(&cache, config, config->cache_dir, &cache_folder, environment, err);
    for (size_t i = 0; i < config->models_count; i++) {
        struct registry_model *model = &config->models[i];
        struct engine_image_limits *limits = &model->engine.image_limits;
        if (!limits->pixels_max) limits->pixels_max = config->image_limits.pixels_max;
        if (!limits->side_max) limits->side_max = config->image_limits.side_max;
        model->engine.cache = cache;
        if (model->is_default && strcmp(config->precision, "auto") != 0) {
            model->engine.precision = config->precision;
        }
    }
    return status;
}

enum status config_load(struct config *out, const char *path, const char *const *environment,
                        const char *const *flags, struct error *err) {
    enum status status = load(out, path, environment, flags, err);
    if (status != STATUS_OK) {
        config_free(out);
        return status;
    }
    status = finish_models(out, environment, err);
    if (status == STATUS_OK) status = find_store(out, environment, err);
    if (status != STATUS_OK) {
        config_free(out);
        return status;
    }
    return STATUS_OK;
}

enum status config_default_store(struct config *config, const char *const *environment,
                                 struct error *err) {
    if (config->collections.store) return STATUS_OK;
    config->store_location = "auto";
    return find_store(config, environment, err);
}

void config_free(struct config *config) {
    storage_destroy(config->storage);
    *config = (struct config){0};
}

/* A double-quoted YAML scalar. */
static enum status print_quoted(struct buffer *out, struct bytes text, struct error *err) {
    enum status status = buffer_append(out, "\"", 1, err);
    for (size_t i = 0; i < text.size && status == STATUS_OK; i++) {
        unsigned char c = text.data[i];
        if (c == '"' || c == '\\')
            status = buffer_printf(out, err, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            status = buffer_printf(out, err, "\\x%02x", c);
        else
            status = buffer_append(out, &c, 1, err);
    }
    return status == STATUS_OK ? buffer_append(out, "\"", 1, err) : status;
}

/* The value behind "key: ", quoted where YAML could take it for something else. */
static enum status print_value(const void *object, const struct schema_key *key, struct buffer *out,
                               struct error *err) {
    if (key->kind != SCHEMA_TEXT && key->kind != SCHEMA_SECRET && key->kind != SCHEMA_LISTEN)
        return value_print(object, key, out, err);
    struct buffer text;
    buffer_init(&text, out->limit);
    enum status status = value_print(object, key, &text, err);
    if (status == STATUS_OK) status = print_quoted(out, buffer_view(&text), err);
    buffer_free(&text);
    return status;
}

static enum status print_aliases(const struct registry_model *model, struct buffer *out,
                                 struct error *err) {
    enum status status = buffer_append(out, "[", 1, err);
    for (size_t i = 0; i < model->aliases_count && status == STATUS_OK; i++) {
        if (i) status = buffer_append(out, ", ", 2, err);
        if (status == STATUS_OK) status = print_quoted(out, bytes_of(model->aliases[i]), err);
    }
    return status == STATUS_OK ? buffer_append(out, "]", 1, err) : status;
}

static enum status print_model(const struct registry_model *model, struct buffer *out,
                               struct error *err) {
    enum status status = STATUS_OK;
    const char *indent = "  - ";
    for (size_t i = 0; i < schema_model_keys_count && status == STATUS_OK; i++) {
        const struct schema_key *key = &schema_model_keys[i];
        const void *field = (const char *)model + key->offset;
        if (key->kind == SCHEMA_TEXT && !*(const char *const *)field) continue;
        status = buffer_printf(out, err, "%s%s: ", indent, key->name);
        if (status == STATUS_OK)
            status = key->kind == SCHEMA_LIST ? print_aliases(model, out, err)
                                              : print_value(model, key, out, err);
        if (status == STATUS_OK) status = buffer_append(out, "\n", 1, err);
        indent = "    ";
    }
    return status;
}

enum status config_print(const struct config *config, struct buffer *out, struct error *err) {
    const char *section = "";
    size_t section_size = 0;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < schema_keys_count && status == STATUS_OK; i++) {
        const char *name = schema_keys[i].name;
        size_t size = strcspn(name, ".");
        if (size != section_size || strncmp(name, section, size) != 0)
            status = buffer_printf(out, err, "%.*s:\n", (int)size, name);
        section = name;
        section_size = size;
        if (status == STATUS_OK) status = buffer_printf(out, err, "  %s: ", name + size + 1);
        if (status == STATUS_OK) status = print_value(config, &schema_keys[i], out, err);
        if (status == STATUS_OK) status = buffer_append(out, "\n", 1, err);
    }
    if (status == STATUS_OK)
        status = buffer_printf(out, err, config->models_count ? "models:\n" : "models: []\n");
    for (size_t i = 0; i < config->models_count && status == STATUS_OK; i++)
        status = print_model(&config->models[i], out, err);
    return status;
}
