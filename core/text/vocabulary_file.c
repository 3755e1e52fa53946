#include "core/text/vocabulary_file.h"

/* zlib then takes its input as const. */
#define ZLIB_CONST
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "core/base/file.h"

enum { INFLATE_CHUNK = 65536, GZIP_WINDOW_BITS = 16 + MAX_WBITS };

/* In a directory the first of these counts; behind them, what is only read beside others. */
static const char *const names[] = {
    "tokenizer.json",
    "vocab.json",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
    "vocab.txt",
    "bpe_simple_vocab_16e6.txt.gz",
    "bpe_simple_vocab_16e6.txt",
    "merges.txt",
    "tokenizer_config.json",
};
enum { ALL_COUNT = sizeof(names) / sizeof(names[0]), NAMES_COUNT = ALL_COUNT - 1 };

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

/* Takes the path over. */
static enum status open_file(struct vocabulary_file *out, char *path, struct error *err) {
    *out = (struct vocabulary_file){.path = path};
    if (!path) return error_set(err, STATUS_NO_MEMORY, "out of memory for a path");
    enum status status = read_file(&out->content, path, err);
    if (status)
        vocabulary_file_close(out);
    else
        sha256(out->digest, buffer_view(&out->content));
    return status;
}

enum status vocabulary_file_open(struct vocabulary_file *out, const char *path, struct error *err) {
    *out = (struct vocabulary_file){.path = NULL};
    struct stat info;
    if (stat(path, &info)) return error_set_errno(err, error_errno_status(), "open", path);
    if (!S_ISDIR(info.st_mode)) return open_file(out, strdup(path), err);
    for (size_t i = 0; i < NAMES_COUNT; i++) {
        char *file = file_join(path, names[i]);
        if (!file || stat(file, &info) == 0) return open_file(out, file, err);
        free(file);
    }
    return error_set(err, STATUS_NOT_FOUND,
                     "no vocabulary in %s: expected tokenizer.json, vocab.json with merges.txt, "
                     "bpe_simple_vocab_16e6.txt[.gz], spiece.model, sentencepiece.bpe.model, "
                     "tokenizer.model or vocab.txt",
                     path);
}

/* NULL without memory. */
static char *folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
}

enum status vocabulary_file_beside(struct vocabulary_file *out, struct vocabulary_file *file,
                                   const char *name, struct error *err) {
    char *folder = folder_of(file->path);
    char *path = folder ? file_join(folder, name) : NULL;
    free(folder);
    enum status status = open_file(out, path, err);
    if (status) return status;
    uint8_t digests[2 * SHA256_SIZE];
    memcpy(digests, file->digest, SHA256_SIZE);
    memcpy(digests + SHA256_SIZE, out->digest, SHA256_SIZE);
    sha256(file->digest, (struct bytes){digests, sizeof(digests)});
    return STATUS_OK;
}

static void add_stamp(struct sha256_run *run, const char *path) {
    char stamp[FILE_STAMP_SIZE];
    sha256_add(run, bytes_of(file_stamp(stamp, path) ? stamp : "none\n"));
}

enum status vocabulary_file_state(char hex[SHA256_HEX_SIZE], const char *path, struct error *err) {
    struct stat info;
    uint8_t digest[SHA256_SIZE];
    bool is_folder = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
    char *folder = is_folder ? strdup(path) : folder_of(path);
    struct sha256_run *run = sha256_begin();
    bool complete = folder && run;
    if (complete && !is_folder) add_stamp(run, path);
    for (size_t i = 0; i < ALL_COUNT && complete; i++) {
        char *file = file_join(folder, names[i]);
        complete = file != NULL;
        if (file) add_stamp(run, file);
        free(file);
    }
    free(folder);
    if (run) {
        sha256_end(run, digest);
        sha256_print(hex, digest);
    }
    return complete ? STATUS_OK : error_set(err, STATUS_NO_MEMORY, "out of memory for a digest");
}

void vocabulary_file_close(struct vocabulary_file *file) {
    free(file->path);
    buffer_free(&file->content);
    file->path = NULL;
}

bool vocabulary_file_is(const struct vocabulary_file *file, const char *name) {
    const char *slash = strrchr(file->path, '/');
    return !strcmp(slash ? slash + 1 : file->path, name);
}

uint8_t vocabulary_file_first(const struct vocabulary_file *file) {
    struct bytes text = buffer_view(&file->content);
    size_t blank = 0;
    while (blank < text.size && text.data[blank] && strchr(" \t\r\n", text.data[blank])) blank++;
    return blank < text.size ? text.data[blank] : 0;
}
