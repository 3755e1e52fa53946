/* vocabulary_text.c - merges as text: a line for each, two symbols and a space between.
 *
 * A first line with "#version" is a header; both files have one. Empty lines are allowed at
 * the end only. */
#include "core/text/vocabulary_text.h"

#include <string.h>

enum { CLIP_MERGES_MAX = 49152 - 256 - 2, SHOWN_MAX = 40 };

bool vocabulary_text_line(struct bytes *line, struct bytes *rest) {
    if (!rest->size) return false;
    const uint8_t *end = memchr(rest->data, '\n', rest->size);
    size_t size = end ? (size_t)(end - rest->data) : rest->size;
    size_t taken = end ? size + 1 : size;
    *line = (struct bytes){rest->data, size};
    *rest = (struct bytes){rest->data + taken, rest->size - taken};
    if (line->size && line->data[line->size - 1] == '\r') line->size--;
    return true;
}

/* The merges of a file: all but the header and the empty lines at the end. */
static struct bytes merges_of(struct bytes file) {
    struct bytes merges = file, rest = file, line;
    if (vocabulary_text_line(&line, &rest) && memmem(line.data, line.size, "#version", 8))
        merges = rest;
    while (merges.size &&
           (merges.data[merges.size - 1] == '\n' || merges.data[merges.size - 1] == '\r'))
        merges.size--;
    return merges;
}

static enum status split(struct bytes *left, struct bytes *right, struct bytes line,
                         struct error *err) {
    const uint8_t *space = memchr(line.data, ' ', line.size);
    const uint8_t *end = line.data + line.size;
    if (space && space > line.data && space + 1 < end &&
        !memchr(space + 1, ' ', (size_t)(end - space - 1))) {
        *left = (struct bytes){line.data, (size_t)(space - line.data)};
        *right = (struct bytes){space + 1, (size_t)(end - space - 1)};
        return STATUS_OK;
    }
    int shown = line.size < SHOWN_MAX ? (int)line.size : SHOWN_MAX;
    return error_set(err, STATUS_INVALID, "a merge is \"%.*s\", expected two symbols", shown,
                     (const char *)line.data);
}

enum status vocabulary_text_merge(struct vocabulary_draft *draft, struct bytes line,
                                  struct error *err) {
    struct bytes left = {0}, right = {0};
    enum status status = split(&left, &right, line, err);
    return status ? status : vocabulary_draft_merge(draft, left, right, err);
}

static enum status add_merges(struct vocabulary_draft *draft, struct bytes merges,
                              struct error *err) {
    struct bytes line;
    enum status status = STATUS_OK;
    while (!status && vocabulary_text_line(&line, &merges))
        status = vocabulary_text_merge(draft, line, err);
    return status;
}

enum status vocabulary_text_merges(struct vocabulary_draft *draft, struct bytes file,
                                   struct error *err) {
    return add_merges(draft, merges_of(file), err);
}

/* Ids 0 to 511: first the bytes that stand for themselves, then the others. */
static enum status add_bytes(struct vocabulary_draft *draft, struct error *err) {
    int64_t id = 0;
    for (int last = 0; last < 2; last++)
        for (int remapped = 0; remapped < 2; remapped++)
            for (unsigned byte = 0; byte < 256; byte++) {
                bool printable = (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
                if (printable == remapped) continue;
                uint8_t text[VOCABULARY_BYTE_SYMBOL_MAX];
                struct bytes symbol = {text, vocabulary_byte_symbol(text, (uint8_t)byte, last)};
                enum status status = vocabulary_draft_symbol(draft, symbol, id++, err);
                if (status) return status;
            }
    return STATUS_OK;
}

/* What the merges make, with the ids that follow. */
static enum status add_results(struct vocabulary_draft *draft, struct bytes merges,
                               struct error *err) {
    struct bytes line;
    enum status status = STATUS_OK;
    struct buffer result;
    buffer_init(&result, VOCABULARY_FILE_MAX);
    while (!status && vocabulary_text_line(&line, &merges)) {
        struct bytes left = {0}, right = {0};
        status = split(&left, &right, line, err);
        result.size = 0;
        if (!status) status = buffer_append(&result, left.data, left.size, err);
        if (!status) status = buffer_append(&result, right.data, right.size, err);
        if (!status)
            status =
                vocabulary_draft_symbol(draft, buffer_view(&result), draft->vocabulary->size, err);
    }
    buffer_free(&result);
    return status;
}

enum status vocabulary_text_all(struct vocabulary_draft *draft, struct bytes file,
                                struct error *err) {
    struct bytes merges = merges_of(file), beyond = merges, line;
    for (size_t i = 0; i < CLIP_MERGES_MAX && vocabulary_text_line(&line, &beyond); i++) continue;
    merges.size -= beyond.size;
    enum status status = add_bytes(draft, err);
    if (!status) status = add_results(draft, merges, err);
    if (!status) status = add_merges(draft, merges, err);
    if (!status)
        status = vocabulary_draft_symbol(draft, bytes_of(VOCABULARY_START), draft->vocabulary->size,
                                         err);
    if (!status)
        status =
            vocabulary_draft_symbol(draft, bytes_of(VOCABULARY_END), draft->vocabulary->size, err);
    return status;
}
