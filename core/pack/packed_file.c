#include "core/pack/packed_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/checksum.h"
#include "core/base/log.h"

enum {
    VERSION = 6,
    BLOCK_OFFSET = 1 << 16,
    HUGE_PAGE = 2 << 20,
    WHAT_DIGITS = 16, /* of its digest in the name */
    STATE_DIGITS = 32,
    ABANDONED_S = 60, /* a file that nobody has locked by then has lost its writer */
};

#define TEMPORARY ".packing-"

static const char magic[16] = "clipd packed\n";

struct header {
    char magic[16];
    uint32_t version, header_bytes;
    uint64_t block_bytes;
    uint64_t block_checksum, header_checksum; /* the latter of what follows it */
    struct packed_key key;
    struct model_info info;
    struct plan plan;
};

_Static_assert(sizeof(struct header) <= BLOCK_OFFSET, "the header must fit before the block");

static uint64_t header_checksum(const struct header *header) {
    struct bytes rest = {.data = (const uint8_t *)&header->key,
                         .size = sizeof(*header) - offsetof(struct header, key)};
    return checksum(rest) ^ header->block_checksum ^ header->block_bytes;
}

/* ---- names ---- */

struct packed_key packed_key_make(const char *what, const char *state) {
    struct packed_key key = {{0}};
    char what_digest[SHA256_HEX_SIZE], state_digest[SHA256_HEX_SIZE];
    sha256_hex(what_digest, bytes_of(what));
    sha256_hex(state_digest, bytes_of(state));
    snprintf(key.name, sizeof(key.name), "%.*s-%.*s.clipd", WHAT_DIGITS, what_digest, STATE_DIGITS,
             state_digest);
    return key;
}

/* ---- reading ---- */

/* Somebody who may write to our files may choose our answers. */
static bool is_ours(int fd) {
    struct stat info;
    if (fstat(fd, &info)) return false;
    bool owned = info.st_uid == geteuid() || info.st_uid == 0;
    return owned && !(info.st_mode & (S_IWGRP | S_IWOTH));
}

static bool is_whole(struct bytes file, const struct packed_key *key) {
    const struct header *header = (const struct header *)(const void *)file.data;
    if (file.size < BLOCK_OFFSET || memcmp(header->magic, magic, sizeof(magic)) != 0) return false;
    if (header->version != VERSION || header->header_bytes != sizeof(*header)) return false;
    struct bytes block = {.data = file.data + BLOCK_OFFSET, .size = file.size - BLOCK_OFFSET};
    return header->block_bytes == block.size &&
           header->header_checksum == header_checksum(header) &&
           memcmp(&header->key, key, sizeof(*key)) == 0 &&
           header->block_checksum == checksum(block);
}

/* O_NONBLOCK so that a FIFO of that name cannot keep us waiting. */
static bool map_whole(struct file_map *out, const char *path, const struct packed_key *key) {
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return false;
    bool whole = is_ours(fd) && file_map_fd(out, fd, path, NULL) == STATUS_OK;
    close(fd);
    if (whole && !is_whole(out->bytes, key)) {
        file_map_close(out);
        whole = false;
    }
    if (!whole) {
        log_message(LOG_WARNING, "packed weights %s are not usable: they are made anew", path);
    }
    return whole;
}

bool packed_open(struct packed *out, const char *directory, const struct packed_key *key,
                 struct model_info *info, struct plan *plan) {
    *out = (struct packed){.memory = NULL};
    char *path = file_join(directory, key->name);
    bool found = path && map_whole(&out->map, path, key);
    free(path);
    if (!found) return false;
    const struct header *header = (const struct header *)(const void *)out->map.bytes.data;
    *info = header->info;
    *plan = header->plan;
    out->block = (struct bytes){.data = out->map.bytes.data + BLOCK_OFFSET,
                                .size = (size_t)header->block_bytes};
    return true;
}

/* ---- writing ---- */

struct packed_draft {
    struct packed_key key;
    char *directory, *path, *temporary;
    int fd;        /* locked */
    uint8_t *data; /* [BLOCK_OFFSET + block_bytes], the mapping */
    size_t block_bytes;
};

/* The directory and the one above it, for ourselves only: ~/.cache/clipd where there is a
 * home. What lies further up is not ours to make. */
static void make_directories(const char *directory) {
    char *above = strdup(directory);
    char *slash = above ? strrchr(above, '/') : NULL;
    if (slash && slash != above) {
        *slash = 0;
        mkdir(above, 0700);
    }
    mkdir(directory, 0700);
    free(above);
}

static void remove_if_abandoned(int directory, const char *name) {
    struct stat info;
    int fd = openat(directory, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return;
    /* The age covers the moment between a file's creation and its lock. */
    bool old = fstat(fd, &info) == 0 && info.st_mtime < time(NULL) - ABANDONED_S;
    if (old && flock(fd, LOCK_EX | LOCK_NB) == 0) unlinkat(directory, name, 0);
    close(fd);
}

typedef void visit_fn(int directory, const char *name);

/* For files whose name begins like `prefix`, but is not all of it. */
static void each_file(const char *directory, const char *prefix, size_t size, visit_fn *visit) {
    DIR *entries = opendir(directory);
    if (!entries) return;
    const struct dirent *entry;
    while ((entry = readdir(entries))) {
        bool meant = !strncmp(entry->d_name, prefix, size) && strcmp(entry->d_name, prefix) != 0;
        if (meant) visit(dirfd(entries), entry->d_name);
    }
    closedir(entries);
}

/* More than a size: where there is no room must be an error here, not a signal later. */
static enum status reserve(const struct packed_draft *draft, size_t bytes, struct error *err) {
    struct rlimit limit;
    int problem = EFBIG;
    if (getrlimit(RLIMIT_FSIZE, &limit) || bytes <= limit.rlim_cur) {
        problem = posix_fallocate(draft->fd, 0, (off_t)bytes);
    }
    if (!problem) return STATUS_OK;
    errno = problem;
    return error_set_errno(err, STATUS_IO, "reserve space for", draft->temporary);
}

static enum status open_draft(struct packed_draft *draft, struct error *err) {
    make_directories(draft->directory);
    each_file(draft->directory, TEMPORARY, strlen(TEMPORARY), remove_if_abandoned);
    draft->fd = mkostemp(draft->temporary, O_CLOEXEC);
    if (draft->fd < 0) return error_set_errno(err, STATUS_IO, "create", draft->temporary);
    flock(draft->fd, LOCK_EX | LOCK_NB); /* without locks the file just stays, if we are killed */
    size_t total = BLOCK_OFFSET + draft->block_bytes;
    enum status status = reserve(draft, total, err);
    if (status) return status;
    void *data = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_SHARED, draft->fd, 0);
    if (data == MAP_FAILED) return error_set_errno(err, STATUS_IO, "map", draft->temporary);
    draft->data = data;
    return STATUS_OK;
}

enum status packed_draft_create(struct packed_draft **out, const char *directory,
                                const struct packed_key *key, size_t block_bytes,
                                struct error *err) {
    struct packed_draft *draft = calloc(1, sizeof(*draft));
    if (!draft) return error_set(err, STATUS_NO_MEMORY, "out of memory for packed weights");
    draft->key = *key;
    draft->fd = -1;
    draft->block_bytes = block_bytes;
    draft->directory = strdup(directory);
    draft->path = file_join(directory, key->name);
    draft->temporary = file_join(directory, TEMPORARY "XXXXXX");
    enum status status;
    if (!draft->directory || !draft->path || !draft->temporary) {
        status = error_set(err, STATUS_NO_MEMORY, "out of memory for a path");
    } else if (block_bytes > SIZE_MAX / 2 - BLOCK_OFFSET) {
        status = error_set(err, STATUS_TOO_LARGE, "%zu bytes of packed weights", block_bytes);
    } else {
        status = open_draft(draft, err);
    }
    if (status)
        packed_draft_destroy(draft);
    else
        *out = draft;
    return status;
}

uint8_t *packed_draft_block(struct packed_draft *draft) {
    return draft->data + BLOCK_OFFSET;
}

static void remove_stale(int directory, const char *name) {
    unlinkat(directory, name, 0);
}

static void write_header(struct header *header, const struct packed_draft *draft,
                         const struct model_info *info, const struct plan *plan) {
    memset(header, 0, sizeof(*header));
    memcpy(header->magic, magic, sizeof(magic));
    header->version = VERSION;
    header->header_bytes = sizeof(*header);
    header->block_bytes = draft->block_bytes;
    struct bytes block = {.data = draft->data + BLOCK_OFFSET, .size = draft->block_bytes};
    header->block_checksum = checksum(block);
    header->key = draft->key;
    header->info = *info;
    header->plan = *plan;
    header->header_checksum = header_checksum(header);
}

enum status packed_draft_finish(struct packed_draft *draft, struct packed *out,
                                const struct model_info *info, const struct plan *plan,
                                struct error *err) {
    size_t total = BLOCK_OFFSET + draft->block_bytes;
    write_header((struct header *)(void *)draft->data, draft, info, plan);
    mprotect(draft->data, total, PROT_READ);
    *out = (struct packed){.map.bytes = {.data = draft->data, .size = total}};
    out->block = (struct bytes){.data = draft->data + BLOCK_OFFSET, .size = draft->block_bytes};
    draft->data = NULL;
    if (rename(draft->temporary, draft->path)) {
        return error_set_errno(err, STATUS_IO, "rename to", draft->path);
    }
    draft->temporary[0] = 0;
    each_file(draft->directory, draft->key.name, WHAT_DIGITS + 1, remove_stale);
    return STATUS_OK;
}

void packed_draft_destroy(struct packed_draft *draft) {
    if (!draft) return;
    if (draft->data) munmap(draft->data, BLOCK_OFFSET + draft->block_bytes);
    if (draft->fd >= 0) {
        close(draft->fd);
        if (draft->temporary[0]) unlink(draft->temporary);
    }
    free(draft->directory);
    free(draft->path);
    free(draft->temporary);
    free(draft);
}

/* ---- memory ---- */

enum status packed_allocate(struct packed *out, size_t bytes, struct error *err) {
    *out = (struct packed){.memory = NULL};
    if (bytes <= SIZE_MAX - HUGE_PAGE) {
        bytes = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
        out->memory = aligned_alloc(HUGE_PAGE, bytes);
    }
    if (!out->memory) {
        return error_set(err, STATUS_NO_MEMORY, "out of memory for %zu bytes of weights", bytes);
    }
    madvise(out->memory, bytes, MADV_HUGEPAGE);
    out->block = (struct bytes){.data = out->memory, .size = bytes};
    return STATUS_OK;
}

void packed_close(struct packed *packed) {
    file_map_close(&packed->map);
    free(packed->memory);
    *packed = (struct packed){.memory = NULL};
}
