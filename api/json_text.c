/* jansson's own writer does not know our stand-ins for long strings, and gives every
 * real 17 digits. The depth was bounded when the request was parsed. */
#include "api/json_text.h"

#include <string.h>

static void write_object(struct writer *writer, const struct json_body *json,
                         const json_t *object) {
    json_t *iterable = json_body_iterable(object);
    writer_begin_object(writer);
    for (void *at = json_object_iter(iterable); at; at = json_object_iter_next(iterable, at)) {
        writer_name(writer, bytes_of(json_object_iter_key(at)));
        json_text_write(writer, json, json_object_iter_value(at));
    }
    writer_end_object(writer);
}

void json_text_write(struct writer *writer, const struct json_body *json, const json_t *value) {
    struct bytes text;
    switch (json_typeof(value)) {
    case JSON_OBJECT: write_object(writer, json, value); break;
    case JSON_ARRAY:
        writer_begin_array(writer);
        for (size_t i = 0; i < json_array_size(value); i++)
            json_text_write(writer, json, json_array_get(value, i));
        writer_end_array(writer);
        break;
    case JSON_STRING:
        json_body_string(&text, json, value, "", NULL);
        writer_string(writer, text);
        break;
    case JSON_INTEGER: writer_int(writer, json_integer_value(value)); break;
    case JSON_REAL: writer_double(writer, json_real_value(value)); break;
    case JSON_TRUE:
    case JSON_FALSE: writer_bool(writer, json_is_true(value)); break;
    case JSON_NULL: writer_null(writer); break;
    }
}
