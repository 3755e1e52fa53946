/* Answers are mostly arrays of floats; a tree of json_t would cost an allocation for
 * each. So answers are written directly, and only requests become trees. */
#include "api/writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/float_text.h"
#include "api/utf8.h"
#include "core/base/base64.h"

void writer_init(struct writer *writer, struct buffer *out) {
    *writer = (struct writer){.out = out, .error = ERROR_NONE};
}

enum status writer_finish(const struct writer *writer, struct error *err) {
    return error_pass(err, &writer->error);
}

static void put(struct writer *writer, const void *data, size_t size) {
    if (writer->error.status) return;
    buffer_append(writer->out, data, size, &writer->error);
}

static void begin_value(struct writer *writer) {
    if (writer->comma) put(writer, ",", 1);
    writer->comma = true;
}

static void put_value(struct writer *writer, const char *text) {
    begin_value(writer);
    put(writer, text, strlen(text));
}

static void begin(struct writer *writer, const char *bracket) {
    put_value(writer, bracket);
    writer->comma = false;
}

static void end(struct writer *writer, const char *bracket) {
    put(writer, bracket, 1);
    writer->comma = true;
}

void writer_begin_object(struct writer *writer) {
    begin(writer, "{");
}

void writer_end_object(struct writer *writer) {
    end(writer, "}");
}

void writer_begin_array(struct writer *writer) {
    begin(writer, "[");
}

void writer_end_array(struct writer *writer) {
    end(writer, "]");
}

void writer_key(struct writer *writer, const char *name) {
    begin_value(writer);
    put(writer, "\"", 1);
    put(writer, name, strlen(name));
    put(writer, "\":", 2);
    writer->comma = false;
}

/* The escape for a character that a JSON string cannot hold as it is. */
static void put_escape(struct writer *writer, uint8_t character) {
    static const char letters[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    char escape[8] = {'\\'};
    for (size_t i = 0; i + 1 < sizeof(letters); i += 2) {
        if ((uint8_t)letters[i] != character) continue;
        escape[1] = letters[i + 1];
        put(writer, escape, 2);
        return;
    }
    snprintf(escape, sizeof(escape), "\\u%04x", character);
    put(writer, escape, 6);
}

static bool is_plain(uint8_t character) {
    return character >= 0x20 && character < 0x7f && character != '"' && character != '\\';
}

void writer_string(struct writer *writer, struct bytes text) {
    begin_value(writer);
    put(writer, "\"", 1);
    while (text.size) {
        size_t length = 0;
        while (length < text.size && is_plain(text.data[length])) length++;
        if (length) {
            put(writer, text.data, length);
        } else {
            length = utf8_character(text);
            if (length > 1) {
                put(writer, text.data, length);
            } else if (length == 1) {
                put_escape(writer, text.data[0]);
            } else {
                put(writer, "\xef\xbf\xbd", 3);
                length = 1;
            }
        }
        text.data += length;
        text.size -= length;
    }
    put(writer, "\"", 1);
}

void writer_name(struct writer *writer, struct bytes name) {
    writer_string(writer, name);
    put(writer, ":", 1);
    writer->comma = false;
}

void writer_text(struct writer *writer, const char *text) {
    writer_string(writer, bytes_of(text));
}

void writer_uint(struct writer *writer, uint64_t number) {
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, number);
    put_value(writer, text);
}

void writer_int(struct writer *writer, int64_t number) {
    char text[24];
    snprintf(text, sizeof(text), "%" PRId64, number);
    put_value(writer, text);
}

/* The fewest of 15 to 17 digits that read back as the same number. A point or exponent
 * keeps it from being taken for a whole number. */
void writer_double(struct writer *writer, double number) {
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, number);
        if (strtod(text, NULL) == number) break;
    }
    put_value(writer, text);
    if (!strpbrk(text, ".en")) put(writer, ".0", 2);
}

void writer_float(struct writer *writer, float number) {
    char text[FLOAT_TEXT_MAX];
    begin_value(writer);
    put(writer, text, float_text(text, number));
}

void writer_bool(struct writer *writer, bool value) {
    put_value(writer, value ? "true" : "false");
}

void writer_null(struct writer *writer) {
    put_value(writer, "null");
}

void writer_json(struct writer *writer, struct bytes text) {
    begin_value(writer);
    put(writer, text.data, text.size);
}

void writer_floats(struct writer *writer, const float *numbers, size_t count) {
    writer_begin_array(writer);
    for (size_t i = 0; i < count; i++) writer_float(writer, numbers[i]);
    writer_end_array(writer);
}

/* The host may be big-endian; the text never is. */
static void put_little_endian(uint8_t out[4], float number) {
    uint32_t bits;
    memcpy(&bits, &number, sizeof(bits));
    for (int i = 0; i < 4; i++) out[i] = (uint8_t)(bits >> 8 * i);
}

void writer_base64(struct writer *writer, const float *numbers, size_t count) {
    enum { AT_ONCE = 192 }; /* floats; a multiple of 3, so that only the last chunk is padded */
    uint8_t chunk[AT_ONCE * 4];
    begin_value(writer);
    put(writer, "\"", 1);
    for (size_t done = 0; done < count && !writer->error.status;) {
        size_t size = 0;
        while (size < sizeof(chunk) && done < count) {
            put_little_endian(chunk + size, numbers[done++]);
            size += 4;
        }
        base64_encode(writer->out, (struct bytes){.data = chunk, .size = size}, &writer->error);
    }
    put(writer, "\"", 1);
}

void writer_bytes(struct writer *writer, struct bytes data) {
    begin_value(writer);
    put(writer, "\"", 1);
    if (!writer->error.status) base64_encode(writer->out, data, &writer->error);
    put(writer, "\"", 1);
}

void writer_floats_raw(struct writer *writer, const float *numbers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint8_t bytes[4];
        put_little_endian(bytes, numbers[i]);
        put(writer, bytes, sizeof(bytes));
    }
}

void writer_line(struct writer *writer) {
    put(writer, "\n", 1);
    writer->comma = false;
}
