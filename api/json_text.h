/* json_text.h - a value of a request as JSON text again: metadata on its way to a store. */
#ifndef API_JSON_TEXT_H
#define API_JSON_TEXT_H

#include "api/json_body.h"
#include "api/writer.h"

void json_text_write(struct writer *writer, const struct json_body *json, const json_t *value);

#endif
