/* file.h - the YAML file as texts by key. Nothing is interpreted here but the
 * structure: unknown keys, keys given twice, lists where a value belongs and bad
 * syntax are errors that name the line. */
#ifndef CONFIG_FILE_H
#define CONFIG_FILE_H

#include "config/schema.h"

/* Texts are NULL when not given. */
struct config_file_model {
    char *values[SCHEMA_MODEL_KEYS_MAX]; /* in the order of schema_model_keys */
    char **aliases;                      /* [aliases_count] */
    unsigned aliases_count;
};

struct config_file_values {
    char *values[SCHEMA_KEYS_MAX]; /* in the order of schema_keys */
    struct config_file_model *models;
    unsigned models_count;
};

struct config_file;

/* STATUS_NOT_FOUND, STATUS_DENIED, STATUS_IO, STATUS_INVALID, or STATUS_TOO_LARGE over 1 MiB. */
enum status config_file_open(struct config_file **out, const char *path, struct error *err);
/* NULL is allowed. */
void config_file_close(struct config_file *file);
const struct config_file_values *config_file_values(const struct config_file *file);

/* Reports STATUS_INVALID with file, line and name of a key ("server.listen",
 * "models[1].name") or list entry in front of `message`. */
enum status config_file_report(const struct config_file *file, const char *key, const char *message,
                               struct error *err);

#endif
