#include "api/item_json.h"

#include <stdio.h>
#include <string.h>

#include "api/json_text.h"

enum { PARTS_COUNT = 5 };
static const char *const part_names[PARTS_COUNT] = {"metadata", "text", "thumbnail", "digest",
                                                    "embedding"};
static const unsigned part_bits[PARTS_COUNT] = {ITEM_METADATA, ITEM_TEXT, ITEM_THUMBNAIL,
                                                ITEM_DIGEST, ITEM_EMBEDDING};

static const char field_prefix[] = "metadata.";
enum { PREFIX_SIZE = sizeof(field_prefix) - 1 };

static enum status add_field(struct item_json *out, struct bytes path, const char *pointer,
                             struct error *err) {
    if (path.size == 0 || path.size > FILTER_FIELD_MAX) {
        return error_set_at(err, STATUS_INVALID, pointer,
                            "a field's path of %zu bytes, 1 to %d are expected", path.size,
                            FILTER_FIELD_MAX);
    }
    if (out->fields_count == ITEM_JSON_FIELDS_MAX) {
        return error_set_at(err, STATUS_INVALID, pointer, "more than %d fields",
                            ITEM_JSON_FIELDS_MAX);
    }
    out->fields[out->fields_count++] = path;
    return STATUS_OK;
}

/* `whole` is set once all of the metadata is wanted. */
static enum status add_part(struct item_json *out, bool *whole, struct bytes name,
                            const char *pointer, struct error *err) {
    if (name.size >= PREFIX_SIZE && !memcmp(name.data, field_prefix, PREFIX_SIZE)) {
        out->parts |= ITEM_METADATA;
        name = (struct bytes){.data = name.data + PREFIX_SIZE, .size = name.size - PREFIX_SIZE};
        return add_field(out, name, pointer, err);
    }
    for (size_t i = 0; i < PARTS_COUNT; i++) {
        if (strlen(part_names[i]) != name.size || memcmp(part_names[i], name.data, name.size) != 0)
            continue;
        out->parts |= part_bits[i];
        *whole |= part_bits[i] == ITEM_METADATA;
        return STATUS_OK;
    }
    return error_set_at(err, STATUS_INVALID, pointer,
                        "%s is \"%.*s\", expected one of metadata, metadata.FIELD, text, "
                        "thumbnail, digest, embedding",
                        pointer + 1, name.size < 32 ? (int)name.size : 32,
                        name.size ? (const char *)name.data : "");
}

enum status item_json_read_parts(struct item_json *out, const struct json_body *json,
                                 const json_t *value, const char *pointer, struct error *err) {
    enum status status = STATUS_OK;
    bool whole = false;
    out->parts = ITEM_JSON_DEFAULT;
    if (!value || json_is_null(value)) return STATUS_OK;
    if (!json_is_array(value)) {
        return error_set_at(err, STATUS_INVALID, pointer, "%s is %s, an array is expected",
                            pointer + 1, json_body_kind(value));
    }
    out->parts = 0;
    for (size_t i = 0; i < json_array_size(value) && !status; i++) {
        char where[JSON_POINTER_SIZE];
        struct bytes name;
        json_body_point_at(where, pointer, i);
        status = json_body_string(&name, json, json_array_get(value, i), where, err);
        if (!status) status = add_part(out, &whole, name, where, err);
    }
    if (whole) out->fields_count = 0;
    return status;
}

enum status item_json_parse_parts(struct item_json *out, const char *text, struct error *err) {
    enum status status = STATUS_OK;
    bool whole = false;
    out->parts = 0;
    while (*text && !status) {
        size_t size = strcspn(text, ",");
        struct bytes name = {.data = (const uint8_t *)text, .size = size};
        status = add_part(out, &whole, name, "/include", err);
        text += size + (text[size] == ',');
    }
    if (whole) out->fields_count = 0;
    return status;
}

/* Puts the field into `some` as it is in `whole`, if it is there. A path has at most some
 * hundred steps. */
static void pick(json_t *some, const json_t *whole, const char *path) {
    char step[FILTER_FIELD_MAX + 1];
    size_t size = strcspn(path, ".");
    memcpy(step, path, size);
    step[size] = '\0';
    json_t *value = json_object_get(whole, step), *nest = json_object_get(some, step);
    if (!value || nest == value) return;
    if (!path[size]) {
        json_object_set(some, step, value);
        return;
    }
    nest = nest ? json_incref(nest) : json_object();
    pick(nest, value, path + size + 1);
    if (json_object_size(nest)) json_object_set(some, step, nest);
    json_decref(nest);
}

static void write_fields(struct writer *writer, struct bytes metadata,
                         const struct item_json *how) {
    json_t *whole = json_loadb((const char *)metadata.data, metadata.size, 0, NULL);
    json_t *some = json_object();
    for (size_t i = 0; i < how->fields_count; i++) {
        char path[FILTER_FIELD_MAX + 1];
        memcpy(path, how->fields[i].data, how->fields[i].size);
        path[how->fields[i].size] = '\0';
        pick(some, whole, path);
    }
    /* As all of it was written when it was put in. */
    if (some)
        json_text_write(writer, &(struct json_body){0}, some);
    else
        error_set(&writer->error, STATUS_NO_MEMORY, "out of memory for metadata");
    json_decref(some);
    json_decref(whole);
}

static void write_metadata(struct writer *writer, struct bytes metadata,
                           const struct item_json *how) {
    if (!metadata.size) metadata = bytes_of("{}");
    writer_key(writer, "metadata");
    if (how->fields_count)
        write_fields(writer, metadata, how);
    else
        writer_json(writer, metadata);
}

static void write_digest(struct writer *writer, const uint8_t digest[SHA256_SIZE]) {
    char hex[SHA256_HEX_SIZE];
    for (size_t i = 0; i < SHA256_SIZE; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    writer_text(writer, hex);
}

void item_json_write(struct writer *writer, const struct item *item, const struct item_json *how) {
    writer_key(writer, "id");
    writer_string(writer, item->id);
    if (how->parts & ITEM_METADATA) write_metadata(writer, item->metadata, how);
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
