#include "core/index/graph_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/checksum.h"

/* The last part changes with the codes of scan.h and with what hnsw_file.hh writes. */
static const char magic[16] = "clipd graph 1\n";

enum { CHUNK = 1 << 30 /* of one system call */ };

#define TEMPORARY ".new"

struct header {
    char magic[16];
    uint32_t dim, precision;
    uint64_t bytes;                          /* behind the header */
    uint64_t body_checksum, header_checksum; /* the latter of what is before it */
};

/* A file on its way in or out. */
struct transfer {
    int fd;
    uint64_t bytes, checksum;
};

static uint64_t checksum_of_header(const struct header *header) {
    return checksum((struct bytes){.data = (const uint8_t *)header,
                                   .size = offsetof(struct header, header_checksum)});
}

/* Of the parts so far and one more. */
static void add_part(struct transfer *transfer, const void *data, size_t size) {
    uint64_t both[2] = {transfer->checksum, checksum((struct bytes){.data = data, .size = size})};
    transfer->checksum =
        checksum((struct bytes){.data = (const uint8_t *)both, .size = sizeof(both)});
    transfer->bytes += size;
}

static bool read_all(int fd, void *data, size_t size) {
    for (size_t done = 0; done < size;) {
        size_t want = size - done < CHUNK ? size - done : CHUNK;
        ssize_t got = read(fd, (char *)data + done, want);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        done += (size_t)got;
    }
    return true;
}

static bool write_all(int fd, const void *data, size_t size) {
    for (size_t done = 0; done < size;) {
        size_t want = size - done < CHUNK ? size - done : CHUNK;
        ssize_t put = write(fd, (const char *)data + done, want);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return false;
        done += (size_t)put;
    }
    return true;
}

static bool read_part(void *context, void *data, size_t size) {
    struct transfer *transfer = context;
    if (!read_all(transfer->fd, data, size)) return false;
    add_part(transfer, data, size);
    return true;
}

static bool write_part(void *context, const void *data, size_t size) {
    struct transfer *transfer = context;
    add_part(transfer, data, size);
    return write_all(transfer->fd, data, size);
}

/* ---- reading ---- */

/* Somebody who may write to our files may choose our answers. */
static bool is_ours(int fd, uint64_t *size) {
    struct stat info;
    if (fstat(fd, &info) || !S_ISREG(info.st_mode)) return false;
    *size = (uint64_t)info.st_size;
    bool owned = info.st_uid == geteuid() || info.st_uid == 0;
    return owned && !(info.st_mode & (S_IWGRP | S_IWOTH));
}

static bool is_ours_header(const struct header *header, const struct hnsw_options *options,
                           enum scan_precision precision, uint64_t size) {
    return !memcmp(header->magic, magic, sizeof(magic)) &&
           header->header_checksum == checksum_of_header(header) && header->dim == options->dim &&
           header->precision == (uint32_t)precision && size >= sizeof(*header) &&
           header->bytes == size - sizeof(*header);
}

static struct hnsw *read_graph(int fd, const struct hnsw_options *options,
                               enum scan_precision precision) {
    struct header header;
    uint64_t size = 0;
    if (!is_ours(fd, &size) || !read_all(fd, &header, sizeof(header)) ||
        !is_ours_header(&header, options, precision, size))
        return NULL;
    struct transfer transfer = {.fd = fd};
    struct hnsw *hnsw = hnsw_read(options, (size_t)header.bytes, read_part, &transfer);
    if (hnsw && transfer.checksum == header.body_checksum) return hnsw;
    hnsw_destroy(hnsw);
    return NULL;
}

struct hnsw *graph_file_read(const char *path, const struct hnsw_options *options,
                             enum scan_precision precision, bool *found) {
    /* O_NONBLOCK so that a FIFO of that name cannot keep us waiting. */
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    *found = fd >= 0;
    if (fd < 0) return NULL;
    struct hnsw *hnsw = read_graph(fd, options, precision);
    close(fd);
    return hnsw;
}

/* ---- writing ---- */

/* The lock is of a file that may have been renamed away between opening and locking. */
static bool is_still_there(int fd, const char *path) {
    struct stat opened, named;
    return fstat(fd, &opened) == 0 && stat(path, &named) == 0 && opened.st_dev == named.st_dev &&
           opened.st_ino == named.st_ino;
}

static enum status open_temporary(int *fd, const char *path, struct error *err) {
    *fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (*fd < 0) return error_set_errno(err, STATUS_IO, "create", path);
    if (flock(*fd, LOCK_EX | LOCK_NB) == 0 && is_still_there(*fd, path)) {
        if (ftruncate(*fd, 0) == 0) return STATUS_OK;
        error_set_errno(err, STATUS_IO, "truncate", path);
    } else {
        error_set(err, STATUS_CONFLICT, "another process is writing %s", path);
    }
    close(*fd);
    *fd = -1;
    return err->status;
}

/* The rename counts only when the directory is on the disk, too. */
static void sync_directory(const char *path) {
    char *directory = strdup(path);
    char *slash = directory ? strrchr(directory, '/') : NULL;
    if (slash) slash[slash == directory] = 0;
    int fd = slash ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    free(directory);
}

static bool write_graph(int fd, const struct hnsw *hnsw, const struct hnsw_options *options,
                        enum scan_precision precision) {
    struct header header = {.dim = (uint32_t)options->dim, .precision = (uint32_t)precision};
    struct transfer transfer = {.fd = fd};
    memcpy(header.magic, magic, sizeof(magic));
    /* The checksum is known when all is written; until then the header is no header. */
    if (lseek(fd, sizeof(header), SEEK_SET) < 0) return false;
    if (!hnsw_write(hnsw, write_part, &transfer)) return false;
    header.bytes = transfer.bytes;
    header.body_checksum = transfer.checksum;
    header.header_checksum = checksum_of_header(&header);
    if (lseek(fd, 0, SEEK_SET) < 0) return false;
    return write_all(fd, &header, sizeof(header)) && fsync(fd) == 0;
}

enum status graph_file_write(const char *path, const struct hnsw *hnsw,
                             const struct hnsw_options *options, enum scan_precision precision,
                             struct error *err) {
    struct error local = ERROR_NONE;
    if (!err) err = &local;
    size_t size = strlen(path) + sizeof(TEMPORARY);
    char *temporary = malloc(size);
    if (!temporary) return error_set(err, STATUS_NO_MEMORY, "out of memory for a path");
    snprintf(temporary, size, "%s" TEMPORARY, path);
    int fd;
    enum status status = open_temporary(&fd, temporary, err);
    if (!status && !write_graph(fd, hnsw, options, precision))
        status = error_set_errno(err, STATUS_IO, "write", temporary);
    if (!status && rename(temporary, path))
        status = error_set_errno(err, STATUS_IO, "rename to", path);
    if (fd >= 0) {
        if (status)
            unlink(temporary);
        else
            sync_directory(path);
        close(fd);
    }
    free(temporary);
    return status;
}
