/* writer.h - writes JSON straight into a buffer, without building a tree first.
 *
 * Commas are the writer's business, nesting is the caller's. After the first failure
 * (the buffer's limit, no memory) nothing more is written; writer_finish() tells. */
#ifndef API_WRITER_H
#define API_WRITER_H

#include <stdbool.h>

#include "core/base/bytes.h"

struct writer {
    struct buffer *out; /* borrowed */
    struct error error;
    bool comma; /* the next value or member needs one before it */
};

/* `out` must be initialised and outlive the writer. */
void writer_init(struct writer *writer, struct buffer *out);
/* What went wrong, if anything did. */
enum status writer_finish(const struct writer *writer, struct error *err);

void writer_begin_object(struct writer *writer);
void writer_end_object(struct writer *writer);
void writer_begin_array(struct writer *writer);
void writer_end_array(struct writer *writer);
/* The name of the next value; a literal that needs no escapes. */
void writer_key(struct writer *writer, const char *name);
/* The same with a name that may be anything. */
void writer_name(struct writer *writer, struct bytes name);

/* Bytes that are not UTF-8 become U+FFFD, so that the result is always JSON. */
void writer_string(struct writer *writer, struct bytes text);
void writer_text(struct writer *writer, const char *text);
void writer_uint(struct writer *writer, uint64_t number);
void writer_int(struct writer *writer, int64_t number);
void writer_float(struct writer *writer, float number);
void writer_double(struct writer *writer, double number);
void writer_bool(struct writer *writer, bool value);
void writer_null(struct writer *writer);
/* A value that is JSON already. */
void writer_json(struct writer *writer, struct bytes text);

/* An embedding, [count]: as an array of numbers, or as a string, the base64 of its
 * little-endian 32-bit floats. */
void writer_floats(struct writer *writer, const float *numbers, size_t count);
void writer_base64(struct writer *writer, const float *numbers, size_t count);
/* The bytes of that base64 alone, which are no JSON. */
void writer_floats_raw(struct writer *writer, const float *numbers, size_t count);
/* Ends a line of NDJSON; the next value starts another. */
void writer_line(struct writer *writer);
/* Any bytes as a string, their base64. */
void writer_bytes(struct writer *writer, struct bytes data);

#endif
