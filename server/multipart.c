/* libmicrohttpd's MHD_PostProcessor does the parsing. Two of its habits are dealt
 * with here: a body that was cut off shows only when it is destroyed, and a part may
 * be announced by an empty call before its first bytes come, also at offset 0. */
#include "server/multipart.h"

#include <assert.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

enum { POST_BUFFER_SIZE = 4096 };

/* A part while it grows. */
struct part {
    char *name, *filename, *content_type;
    struct buffer data;
};

struct multipart {
    struct MHD_PostProcessor *processor;
    struct part *parts; /* [count] */
    size_t count, capacity;
    uint32_t parts_max;
    struct http_part *views; /* [count], made at the end */
    struct error error;      /* why the iterator stopped */
};

static bool same(const char *a, const char *b) {
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static char *copy(const char *text) {
    return strdup(text ? text : "");
}

static enum status grow(struct multipart *multipart) {
    if (multipart->count < multipart->capacity) return STATUS_OK;
    if (multipart->count == multipart->parts_max) {
        return error_set(&multipart->error, STATUS_TOO_LARGE, "more than %u parts",
                         multipart->parts_max);
    }
    size_t capacity = multipart->capacity ? 2 * multipart->capacity : 8;
    if (capacity > multipart->parts_max) capacity = multipart->parts_max;
    struct part *parts = realloc(multipart->parts, capacity * sizeof(*parts));
    if (!parts) return error_set(&multipart->error, STATUS_NO_MEMORY, "out of memory for parts");
    multipart->parts = parts;
    multipart->capacity = capacity;
    return STATUS_OK;
}

static enum status begin_part(struct multipart *multipart, const char *name, const char *filename,
                              const char *content_type) {
    enum status status = grow(multipart);
    if (status) return status;
    struct part *part = &multipart->parts[multipart->count++];
    *part = (struct part){
        .name = copy(name), .filename = copy(filename), .content_type = copy(content_type)};
    /* The server bounds the whole body; a part cannot be larger. */
    buffer_init(&part->data, SIZE_MAX / 2);
    if (part->name && part->filename && part->content_type) return STATUS_OK;
    return error_set(&multipart->error, STATUS_NO_MEMORY, "out of memory for a part");
}

static enum MHD_Result see_data(void *context, enum MHD_ValueKind kind, const char *name,
                                const char *filename, const char *content_type,
                                const char *transfer_encoding, const char *data, uint64_t offset,
                                size_t size) {
    (void)kind;
    (void)transfer_encoding;
    struct multipart *multipart = context;
    struct part *last = multipart->count ? &multipart->parts[multipart->count - 1] : NULL;
    bool announced = last && last->data.size == 0 && size > 0 && same(last->name, name) &&
                     same(last->filename, filename);
    if (offset == 0 && !announced) {
        if (begin_part(multipart, name, filename, content_type)) return MHD_NO;
        last = &multipart->parts[multipart->count - 1];
    }
    assert(last);
    return buffer_append(&last->data, data, size, &multipart->error) ? MHD_NO : MHD_YES;
}

enum status multipart_create(struct multipart **out, struct MHD_Connection *connection,
                             uint32_t parts_max, struct error *err) {
    struct multipart *multipart = calloc(1, sizeof(*multipart));
    if (!multipart) return error_set(err, STATUS_NO_MEMORY, "out of memory for a form");
    multipart->parts_max = parts_max;
    multipart->error = ERROR_NONE;
    multipart->processor =
        MHD_create_post_processor(connection, POST_BUFFER_SIZE, see_data, multipart);
    if (!multipart->processor) {
        free(multipart);
        return error_set(err, STATUS_INVALID, "multipart/form-data without a usable boundary");
    }
    *out = multipart;
    return STATUS_OK;
}

void multipart_destroy(struct multipart *multipart) {
    if (!multipart) return;
    if (multipart->processor) MHD_destroy_post_processor(multipart->processor);
    for (size_t i = 0; i < multipart->count; i++) {
        struct part *part = &multipart->parts[i];
        free(part->name);
        free(part->filename);
        free(part->content_type);
        buffer_free(&part->data);
    }
    free(multipart->parts);
    free(multipart->views);
    free(multipart);
}

/* What the iterator said, or that the text itself was malformed. */
static enum status report(const struct multipart *multipart, struct error *err) {
    if (multipart->error.status) {
        return error_set(err, multipart->error.status, "%s", multipart->error.message);
    }
    return error_set(err, STATUS_INVALID, "the multipart/form-data body is malformed or cut off");
}

enum status multipart_feed(struct multipart *multipart, const char *data, size_t size,
                           struct error *err) {
    if (MHD_post_process(multipart->processor, data, size) == MHD_YES) return STATUS_OK;
    return report(multipart, err);
}

enum status multipart_finish(struct multipart *multipart, const struct http_part **parts,
                             size_t *count, struct error *err) {
    enum MHD_Result whole = MHD_destroy_post_processor(multipart->processor);
    multipart->processor = NULL;
    if (whole != MHD_YES || multipart->error.status) return report(multipart, err);
    if (multipart->count == 0) {
        return error_set(err, STATUS_INVALID, "the multipart/form-data body has no part");
    }
    multipart->views = calloc(multipart->count, sizeof(*multipart->views));
    if (!multipart->views) return error_set(err, STATUS_NO_MEMORY, "out of memory for parts");
    for (size_t i = 0; i < multipart->count; i++) {
        const struct part *part = &multipart->parts[i];
        multipart->views[i] = (struct http_part){.name = part->name,
                                                 .filename = part->filename,
                                                 .content_type = part->content_type,
                                                 .data = buffer_view(&part->data)};
    }
    *parts = multipart->views;
    *count = multipart->count;
    return STATUS_OK;
}
