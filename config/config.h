/* config.h - defaults, then the file, then the environment, then flags.
 *
 * A plain struct made of the modules' own option structs; each module is handed
 * its part and none reads configuration by itself. Immutable after loading. */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "api/api.h"
#include "core/base/log.h"
#include "core/index/collection.h"
#include "core/registry.h"
#include "server/http_server.h"

enum { CONFIG_MODELS_MAX = 64, CONFIG_ALIASES_MAX = 16 };

struct config {
    struct http_server_options server;
    struct api_options api;
    struct runtime_options runtime;
    struct engine_image_limits image_limits; /* of all models */
    /* [models_count]; there may be none, and is_default is true of one exactly, else. */
    struct registry_model *models;
    size_t models_count;
    size_t models_memory_max; /* bytes; 0: no bound */
    enum log_level log_level;
    enum log_format log_format;
    uint32_t drain_delay_ms, drain_ms;
    const char *precision;      /* of the default model; "auto": as its entry says */
    const char *cache_dir;      /* of packed weights; "auto", "none" or a directory */
    bool models_aside;          /* the file has models, which CLIPD_MODEL took the place of */
    const char *store_location; /* "auto", "none", a directory or postgresql:// */
    /* collections.store is what store_location stands for, NULL for none. What depends on
     * the runtime is left to whoever opens it. */
    struct collections_options collections;
    struct config_storage *storage; /* owns the strings above */
};

/* `path` NULL: no file. The environment is a NULL-terminated list such as `environ`:
 * CLIPD_SERVER_LISTEN=..., CLIPD_MODEL=DIR, and PORT, which replaces the port of
 * server.listen. `flags` is NULL, or a NULL-terminated list of "name=value" in the
 * names of the file ("server.listen=:8080"), or "model=DIR". A model given by flag or
 * environment takes the place of the file's list.
 *
 * STATUS_NOT_FOUND, STATUS_DENIED or STATUS_IO when the file cannot be read; else
 * STATUS_INVALID, and the message names the line, variable or flag at fault. On failure
 * there is nothing to free. */
enum status config_load(struct config *out, const char *path, const char *const *environment,
                        const char *const *flags, struct error *err);
void config_free(struct config *config);

/* Has collections kept in the user's data directory, as store.location: auto does, where the
 * configuration has no place for them. */
enum status config_default_store(struct config *config, const char *const *environment,
                                 struct error *err);

/* A variable that begins with CLIPD_ and is none of ours is a warning in the log, whose
 * level and format the configuration says; for one that would be a key's if that had no
 * shorter name, it tells the name. Not so those that Kubernetes makes up for a Service
 * called "clipd". */
void config_warn_of_unknown(const char *const *environment);

/* Appends the whole configuration as YAML that config_load() reads back, but for a password
 * in the address of the store, which is left out. */
enum status config_print(const struct config *config, struct buffer *out, struct error *err);

#endif
