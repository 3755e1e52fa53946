#include "api/item_json.h"

#include <stdio.h>
#include <string.h>

enum { PARTS_COUNT = 5 };
static const char *const part_names[PARTS_COUNT] = {"metadata", "text", "thumbnail", "digest",
                                                    "embedding"};
static const unsigned part_bits[PARTS_COUNT] = {ITEM_METADATA, ITEM_TEXT, ITEM_THUMBNAIL,
                                                ITEM_DIGEST, ITEM_EMBEDDING};

enum status item_json_read_parts(unsigned *out, const struct json_body *json, const json_t *value,
                                 const char *pointer, struct error *err) {
    enum status status = STATUS_OK;
    *out = ITEM_JSON_DEFAULT;
    if (!value || json_is_null(value)) return STATUS_OK;
    if (!json_is_array(value)) {
        return error_set_at(err, STATUS_INVALID, pointer, "%s is %s, an array is expected",
                            pointer + 1, json_body_kind(value));
    }
    *out = 0;
    for (size_t i = 0; i < json_array_size(value) && !status; i++) {
        char where[JSON_POINTER_SIZE];
        size_t part = 0;
        json_body_point_at(where, pointer, i);
        status = json_body_word(&part, json, json_array_get(value, i), where, part_names,
                                PARTS_COUNT, err);
        *out |= part_bits[part];
    }
    return status;
}

enum status item_json_parse_parts(unsigned *out, const char *text, struct error *err) {
    *out = 0;
    while (*text) {
        size_t size = strcspn(text, ","), part = 0;
        while (part < PARTS_COUNT &&
               (strlen(part_names[part]) != size || memcmp(part_names[part], text, size) != 0)) {
            part++;
        }
        if (part == PARTS_COUNT) {
            return error_set_at(err, STATUS_INVALID, "/include",
                                "include has \"%.*s\", expected some of metadata, text, "
                                "thumbnail, digest, embedding",
                                size < 32 ? (int)size : 32, text);
        }
        *out |= part_bits[part];
        text += size + (text[size] == ',');
    }
    return STATUS_OK;
}

static void write_digest(struct writer *writer, const uint8_t digest[SHA256_SIZE]) {
    char hex[SHA256_HEX_SIZE];
    for (size_t i = 0; i < SHA256_SIZE; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    writer_text(writer, hex);
}

void item_json_write(struct writer *writer, const struct item *item, const struct item_json *how) {
    writer_key(writer, "id");
    writer_string(writer, item->id);
    if (how->parts & ITEM_METADATA) {
        writer_key(writer, "metadata");
        writer_json(writer, item->metadata.size ? item->metadata : bytes_of("{}"));
    }
    if (how->parts & ITEM_TEXT && item->text.size) {
        writer_key(writer, "text");
        writer_string(writer, item->text);
    }
    if (how->parts & ITEM_THUMBNAIL && item->thumbnail.size) {
        writer_key(writer, "thumbnail");
        writer_bytes(writer, item->thumbnail);
    }
    if (how->parts & ITEM_DIGEST && item->has_digest) {
        writer_key(writer, "digest");
        write_digest(writer, item->digest);
    }
    if (how->parts & ITEM_EMBEDDING) {
        writer_key(writer, "embedding");
        if (how->base64)
            writer_base64(writer, item->embedding, item->dim);
        else
            writer_floats(writer, item->embedding, item->dim);
    }
}
