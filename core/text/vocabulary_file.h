/* vocabulary_file.h - a vocabulary's file: found, read, and inflated if it is gzipped. */
#ifndef CORE_TEXT_VOCABULARY_FILE_H
#define CORE_TEXT_VOCABULARY_FILE_H

#include <stdbool.h>

#include "core/base/sha256.h"

enum { VOCABULARY_FILE_MAX = 128 << 20 /* bytes, inflated */ };

struct vocabulary_file {
    char *path; /* owned */
    struct buffer content;
    uint8_t digest[SHA256_SIZE]; /* of this file and of those beside it that were opened */
};

/* `path` is the file, or a directory with one of the names that we know. STATUS_NOT_FOUND:
 * there is no such file, or none that we know in the directory. */
enum status vocabulary_file_open(struct vocabulary_file *out, const char *path, struct error *err);
/* Another file in the same folder, which becomes a part of what `file` is. */
enum status vocabulary_file_beside(struct vocabulary_file *out, struct vocabulary_file *file,
                                   const char *name, struct error *err);
/* In hexadecimal: how the files stand that a vocabulary of that path is read from, or would be if
 * they were there. Reads none of them. */
enum status vocabulary_file_state(char hex[SHA256_HEX_SIZE], const char *path, struct error *err);
/* Zeroed memory may be closed, too. */
void vocabulary_file_close(struct vocabulary_file *file);

/* True if this is the last part of the path. */
bool vocabulary_file_is(const struct vocabulary_file *file, const char *name);
/* What the file begins with behind white space; 0: nothing. */
uint8_t vocabulary_file_first(const struct vocabulary_file *file);

#endif
