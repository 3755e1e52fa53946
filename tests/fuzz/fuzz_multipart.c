/* fuzz_multipart.c - bodies of multipart/form-data.
 *
 * An input that begins with "--" is a body whose first line names the boundary;
 * another has the Content-Type in its first line. Whatever was parsed must lie
 * within the body and, the data of a part, behind that of the part before. */
#include <stdlib.h>
#include <string.h>

#include "server/multipart.h"

static void check(bool good) {
    if (!good) abort();
}

static void check_text(const char *text, const uint8_t *body, size_t size) {
    if (!*text) return;
    const uint8_t *start = (const uint8_t *)text;
    check(start >= body && start + strlen(text) < body + size);
}

static void check_parts(const struct http_part *parts, size_t count, const uint8_t *body,
                        size_t size) {
    const uint8_t *last = body;
    check(count > 0 && count <= MULTIPART_PARTS_MAX);
    for (size_t i = 0; i < count; i++) {
        const struct http_part *part = &parts[i];
        check_text(part->name, body, size);
        check_text(part->filename, body, size);
        check_text(part->content_type, body, size);
        check(*part->name && part->data.data > last);
        last = part->data.data + part->data.size;
        check(last <= body + size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char start[] = "multipart/form-data; boundary=";
    const uint8_t *newline = size ? memchr(data, '\n', size) : NULL;
    if (!newline) return 0;
    bool is_body = size > 2 && data[0] == '-' && data[1] == '-';
    size_t line = (size_t)(newline - data);
    char *type = calloc(1, sizeof(start) + line);
    if (!type) abort();
    if (is_body) {
        memcpy(type, start, sizeof(start));
        strncat(type, (const char *)data + 2, line - 2);
        type[strcspn(type, "\r")] = '\0';
    } else {
        memcpy(type, data, line);
    }
    size_t skip = is_body ? 0 : line + 1;
    /* Of the exact size, so that reads past the end are seen. */
    size_t body_size = size - skip;
    uint8_t *body = malloc(body_size ? body_size : 1);
    if (!body) abort();
    memcpy(body, data + skip, body_size);

    struct buffer parts;
    buffer_init(&parts, MULTIPART_PARTS_MAX * sizeof(struct http_part));
    struct error err = ERROR_NONE;
    if (multipart_is_form(type) &&
        multipart_parse(&parts, body, body_size, type, &err) == STATUS_OK)
        check_parts((const struct http_part *)(const void *)parts.data,
                    parts.size / sizeof(struct http_part), body, body_size);
    buffer_free(&parts);
    free(body);
    free(type);
    return 0;
}
