/* file.h - whole files, mapped or read. */
#ifndef CORE_BASE_FILE_H
#define CORE_BASE_FILE_H

#include <stdbool.h>

#include "core/base/bytes.h"

/* A file mapped read-only. Whoever shortens the file under us gets us killed by
 * SIGBUS, as with every program that maps its data; the packed weights and the
 * checkpoints are replaced by rename, never rewritten in place. */
struct file_map {
    struct bytes bytes;
    void *address; /* the same, as munmap() takes it */
};

/* STATUS_NOT_FOUND when there is no such file. An empty file maps to size 0. */
enum status file_map_open(struct file_map *out, const char *path, struct error *err);
/* The same for an open file, which stays the caller's; `path` names it in errors. */
enum status file_map_fd(struct file_map *out, int fd, const char *path, struct error *err);
void file_map_close(struct file_map *map);
/* Gives the pages of a part of a mapping back to the system, which reads them again from the
 * file should they be wanted again. Never call it for memory that is no mapping of a file. */
void file_map_release(struct bytes part);

/* Appends the whole file; STATUS_TOO_LARGE past the buffer's limit. "-" is
 * standard input. */
enum status file_read(struct buffer *out, const char *path, struct error *err);

/* What tells a file from another that takes its place: inode, size and time. No device: containers
 * number theirs anew at every start. False when there is none. */
enum { FILE_STAMP_SIZE = 128 };
bool file_stamp(char out[FILE_STAMP_SIZE], const char *path);

/* Joins a directory and a name into a newly allocated path; NULL without memory. */
char *file_join(const char *directory, const char *name);

#endif
