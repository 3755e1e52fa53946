/* value.h - one configuration value, from text and back.
 *
 * The file, the environment and flags all give text, so that they agree on what
 * "20MB" is.
 */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include "config/schema.h"
#include "config/storage.h"

/* Reads `text` into the field of `key` in `object`: a struct config, or a struct
 * registry_model. Not for SCHEMA_LIST. The message says what was found and what was
 * expected; the caller puts in front of it where. */
enum status value_read(void *object, const struct schema_key *key, const char *text,
                       struct config_storage *storage, struct error *err);

/* Appends the field as value_read() reads it, but for a password; an unset text is empty. */
enum status value_print(const void *object, const struct schema_key *key, struct buffer *out,
                        struct error *err);

#endif
