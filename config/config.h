/* config.h - defaults, then the file, then the environment, then flags.
 *
 * A plain struct made of the modules' own option structs; each module is handed
 * its part and none reads configuration by itself. */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "api/api.h"
#include "core/base/log.h"
#include "core/engine.h"
#include "server/http_server.h"

enum { CONFIG_MODELS_MAX = 64 };

struct config_model {
    struct engine_options engine;
    bool is_default;
};

struct config {
    struct http_server_options server;
    struct api_options api;
    struct runtime_options runtime;
    struct config_model *models; /* [models_count] */
    size_t models_count;
    enum log_level log_level;
    enum log_format log_format;
    uint32_t drain_ms;
    struct config_storage *storage; /* owns the strings above */
};

/* `flags` are NULL-terminated "name=value" pairs in the names of the file
 * ("server.listen=0.0.0.0:8080"); `path` NULL: no file; the environment is read
 * from `environment` (CLIPD_SERVER_LISTEN=...). Errors name the line, variable or
 * flag at fault. */
enum status config_load(struct config *out, const char *path, char *const *environment,
                        const char *const *flags, struct error *err);
void config_free(struct config *config);

/* The whole configuration as YAML that config_load() reads back. */
enum status config_print(const struct config *config, struct buffer *out, struct error *err);

#endif
