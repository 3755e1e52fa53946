#include "core/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_CHUNK = 65536 };

static int open_file(const char *path, struct error *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) error_set_errno(err, error_errno_status(), "open", path);
    return fd;
}

enum status file_map_fd(struct file_map *out, int fd, const char *path, struct error *err) {
    struct stat info;
    *out = (struct file_map){0};
    if (fstat(fd, &info)) return error_set_errno(err, STATUS_IO, "read", path);
    if (!S_ISREG(info.st_mode)) {
        return error_set(err, STATUS_IO, "cannot read %s: not a regular file", path);
    }
    if (info.st_size == 0) return STATUS_OK;
    void *data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) return error_set_errno(err, STATUS_IO, "map", path);
    out->address = data;
    out->bytes = (struct bytes){.data = data, .size = (size_t)info.st_size};
    return STATUS_OK;
}

enum status file_map_open(struct file_map *out, const char *path, struct error *err) {
    struct error local = ERROR_NONE;
    if (!err) err = &local;
    int fd = open_file(path, err);
    if (fd < 0) return err->status;
    enum status status = file_map_fd(out, fd, path, err);
    close(fd);
    return status;
}

void file_map_close(struct file_map *map) {
    if (map->address) munmap(map->address, map->bytes.size);
    *map = (struct file_map){0};
}

void file_map_release(struct bytes part) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), after = (uintptr_t)part.data % page;
    size_t skip = after ? page - after : 0; /* whole pages only */
    if (part.size < skip + page) return;
    const uint8_t *first = part.data + skip;
    void *begin; /* the same, as madvise() takes it */
    memcpy(&begin, &first, sizeof(begin));
    madvise(begin, (part.size - skip) / page * page, MADV_DONTNEED);
}

enum status file_read(struct buffer *out, const char *path, struct error *err) {
    struct error local = ERROR_NONE;
    if (!err) err = &local;
    int fd = strcmp(path, "-") ? open_file(path, err) : STDIN_FILENO;
    if (fd < 0) return err->status;
    enum status status = STATUS_OK;
    for (;;) {
        uint8_t chunk[READ_CHUNK];
        ssize_t got = read(fd, chunk, sizeof(chunk));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) status = error_set_errno(err, STATUS_IO, "read", path);
        if (got <= 0) break;
        status = buffer_append(out, chunk, (size_t)got, err);
        if (status) break;
    }
    if (fd != STDIN_FILENO) close(fd);
    return status;
}

bool file_stamp(char out[FILE_STAMP_SIZE], const char *path) {
    struct stat info;
    if (stat(path, &info)) return false;
    snprintf(out, FILE_STAMP_SIZE, "%llu %lld %lld.%09ld\n", (unsigned long long)info.st_ino,
             (long long)info.st_size, (long long)info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
    return true;
}

char *file_join(const char *directory, const char *name) {
    size_t size = strlen(directory) + strlen(name) + 2;
    char *path = malloc(size);
    if (path) snprintf(path, size, "%s/%s", directory, name);
    return path;
}
