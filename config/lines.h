/* lines.h - where things stand in a YAML file.
 *
 * libcyaml says what is wrong with a file, but of syntax errors not where, and of
 * unknown keys only where the value before them ended. This walks libyaml's events
 * over the same bytes to find the line. The text must not be empty. */
#ifndef CONFIG_LINES_H
#define CONFIG_LINES_H

#include "core/base/bytes.h"

/* STATUS_INVALID with err->where "line 12" when the text is not one YAML document. */
enum status lines_check(struct bytes yaml, struct error *err);

/* The line (from 1) of a key: "server.listen", or "models[1].name" for the key of a
 * list's second entry. Of a key that occurs more than once the `occurrence`th, from 0.
 * 0 when there is no such key. */
size_t lines_find(struct bytes yaml, const char *path, size_t occurrence);

/* Whether there is such a key with a single value, neither empty nor a list or mapping. */
bool lines_have_value(struct bytes yaml, const char *path);

#endif
