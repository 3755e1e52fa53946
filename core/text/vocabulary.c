/* vocabulary.c - finds, reads and inflates vocabulary files, and hands them to the reader
 * of their form. */
#include "core/text/vocabulary.h"

/* zlib then takes its input as const. */
#define ZLIB_CONST
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "core/base/file.h"
#include "core/text/vocabulary_draft.h"
#include "core/text/vocabulary_json.h"
#include "core/text/vocabulary_text.h"

enum { INFLATE_CHUNK = 65536, GZIP_WINDOW_BITS = 16 + MAX_WBITS };

static const char merges_name[] = "merges.txt";
/* In a directory the first of these counts. */
static const char *const names[] = {"tokenizer.json", "vocab.json", "bpe_simple_vocab_16e6.txt.gz",
                                    "bpe_simple_vocab_16e6.txt", merges_name};
enum { NAMES_COUNT = sizeof(names) / sizeof(names[0]) };

/* One gzip member; `out` bounds what comes out of it. */
static enum status inflate_all(struct buffer *out, struct bytes packed, struct error *err) {
    z_stream stream = {.next_in = packed.data, .avail_in = (uInt)packed.size};
    if (inflateInit2(&stream, GZIP_WINDOW_BITS) != Z_OK)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for inflating");
    enum status status = STATUS_OK;
    int result = Z_OK;
    while (!status && result == Z_OK) {
        uint8_t chunk[INFLATE_CHUNK];
        stream.next_out = chunk;
        stream.avail_out = sizeof(chunk);
        result = inflate(&stream, Z_NO_FLUSH);
        if (result == Z_OK || result == Z_STREAM_END)
            status = buffer_append(out, chunk, sizeof(chunk) - stream.avail_out, err);
        else
            status = error_set(err, STATUS_INVALID, "the gzip file is %s",
                               result == Z_BUF_ERROR ? "truncated" : "damaged");
    }
    inflateEnd(&stream);
    return status;
}

static bool is_gzip(struct bytes file) {
    return file.size > 2 && file.data[0] == 0x1F && file.data[1] == 0x8B;
}

/* The whole file, inflated if need be. */
static enum status read_file(struct buffer *out, const char *path, struct error *err) {
    buffer_init(out, VOCABULARY_FILE_MAX);
    enum status status = file_read(out, path, err);
    if (status || !is_gzip(buffer_view(out))) return status;
    struct buffer packed = *out;
    buffer_init(out, VOCABULARY_FILE_MAX);
    status = inflate_all(out, buffer_view(&packed), err);
    buffer_free(&packed);
    return status;
}

/* merges.txt in the folder of `path`. */
static enum status read_merges_beside(struct vocabulary_draft *draft, const char *path,
                                      struct error *err) {
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
    char *merges = folder ? file_join(folder, merges_name) : NULL;
    struct buffer file;
    buffer_init(&file, 0);
    enum status status;
    if (merges)
        status = read_file(&file, merges, err);
    else
        status = error_set(err, STATUS_NO_MEMORY, "out of memory for a path");
    if (!status) status = vocabulary_text_merges(draft, buffer_view(&file), err);
    buffer_free(&file);
    free(merges);
    free(folder);
    return status;
}

static enum status read_draft(struct vocabulary_draft *draft, const char *path, struct error *err) {
    struct buffer file;
    enum status status = read_file(&file, path, err);
    struct bytes text = buffer_view(&file);
    size_t blank = 0;
    while (blank < text.size && strchr(" \t\r\n", text.data[blank]) && text.data[blank]) blank++;
    bool needs_merges = false;
    if (!status && blank == text.size)
        status = error_set(err, STATUS_INVALID, "the file is empty");
    else if (!status && text.data[blank] == '{')
        status = vocabulary_json_all(draft, &needs_merges, text, err);
    else if (!status)
        status = vocabulary_text_all(draft, text, err);
    buffer_free(&file);
    if (!status && needs_merges) status = read_merges_beside(draft, path, err);
    return status ? status : vocabulary_draft_finish(draft, err);
}

static enum status open_file(struct vocabulary *out, const char *path, struct error *err) {
    struct error cause = ERROR_NONE;
    struct vocabulary_draft *draft = vocabulary_draft_create(out, &cause);
    enum status status = draft ? read_draft(draft, path, &cause) : cause.status;
    vocabulary_draft_destroy(draft);
    if (status) {
        vocabulary_free(out);
        error_set(err, status, "vocabulary %s: %s", path, cause.message);
    }
    return status;
}

enum status vocabulary_open(struct vocabulary *out, const char *path, struct error *err) {
    *out = (struct vocabulary){0};
    struct stat info;
    if (stat(path, &info))
        return error_set_errno(err, errno == ENOENT ? STATUS_NOT_FOUND : STATUS_IO, "open", path);
    if (!S_ISDIR(info.st_mode)) return open_file(out, path, err);
    for (size_t i = 0; i < NAMES_COUNT; i++) {
        char *file = file_join(path, names[i]);
        if (!file) return error_set(err, STATUS_NO_MEMORY, "out of memory for a path");
        bool found = stat(file, &info) == 0;
        enum status status = found ? open_file(out, file, err) : STATUS_NOT_FOUND;
        free(file);
        if (found) return status;
    }
    return error_set(err, STATUS_NOT_FOUND,
                     "no vocabulary in %s: expected tokenizer.json, vocab.json with merges.txt, or "
                     "bpe_simple_vocab_16e6.txt[.gz]",
                     path);
}

void vocabulary_free(struct vocabulary *vocabulary) {
    for (size_t i = 0; i < vocabulary->added_count; i++) free(vocabulary->added[i].text);
    free(vocabulary->added);
    free(vocabulary->merges);
    *vocabulary = (struct vocabulary){0};
}
