#include "hub/blob.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_CHUNK = 1 << 16, FILE_MODE = 0666 };

/* Bytes that an earlier process has left. */
static uint64_t present(const struct blob *blob) {
    struct stat info;
    if (!stat(blob->path, &info) && S_ISREG(info.st_mode)) return blob->size;
    if (stat(blob->draft, &info) || !S_ISREG(info.st_mode)) return 0;
    return (uint64_t)info.st_size > blob->size ? 0 : (uint64_t)info.st_size;
}

enum status blob_init(struct blob *out, const struct snapshot *snapshot, const char *name,
                      const char *digest, uint64_t size, struct error *err) {
    char draft[DIGEST_HEX_SIZE + 16], lock[DIGEST_HEX_SIZE + 16];
    if (!digest_is_name(digest))
        return error_set(err, STATUS_UNPROCESSABLE,
                         "%s: the hub names no digest (ETag '%.40s'), expected SHA-256 or git's",
                         name, digest);
    *out = (struct blob){.name = name, .size = size, .file = -1, .lock = -1};
    snprintf(out->digest, sizeof(out->digest), "%s", digest);
    snprintf(draft, sizeof(draft), "%s.incomplete", out->digest);
    snprintf(lock, sizeof(lock), "%s.lock", out->digest);
    enum status status = snapshot_path(&out->path, snapshot->model, "blobs", out->digest, err);
    if (!status) status = snapshot_path(&out->draft, snapshot->model, "blobs", draft, err);
    if (!status) status = snapshot_path(&out->lock_path, snapshot->locks, lock, "", err);
    if (status)
        blob_close(out);
    else
        out->have = present(out);
    return status;
}

/* Everything but the paths. */
static void release(struct blob *blob) {
    char ignored[DIGEST_HEX_SIZE];
    digest_end(blob->run, ignored);
    blob->run = NULL;
    if (blob->file >= 0) close(blob->file);
    if (blob->lock >= 0) close(blob->lock);
    blob->file = blob->lock = -1;
}

void blob_close(struct blob *blob) {
    release(blob);
    free(blob->path);
    free(blob->draft);
    free(blob->lock_path);
    *blob = (struct blob){.file = -1, .lock = -1};
}

/* Throws away what is in the draft. */
static enum status restart(struct blob *blob, struct error *err) {
    char ignored[DIGEST_HEX_SIZE];
    if (ftruncate(blob->file, 0) || lseek(blob->file, 0, SEEK_SET))
        return error_set_errno(err, STATUS_IO, "write", blob->draft);
    digest_end(blob->run, ignored);
    blob->run = digest_begin(blob->digest, blob->size);
    blob->have = 0;
    blob->resumed = false;
    return blob->run ? STATUS_OK : error_set(err, STATUS_NO_MEMORY, "out of memory for a digest");
}

/* Takes what an earlier process has left into the digest. */
static enum status take_draft(struct blob *blob, struct error *err) {
    uint8_t chunk[READ_CHUNK];
    blob->run = digest_begin(blob->digest, blob->size);
    if (!blob->run) return error_set(err, STATUS_NO_MEMORY, "out of memory for a digest");
    blob->have = 0;
    for (;;) {
        ssize_t got = read(blob->file, chunk, sizeof(chunk));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return error_set_errno(err, STATUS_IO, "read", blob->draft);
        if (got == 0) break;
        digest_add(blob->run, (struct bytes){chunk, (size_t)got});
        blob->have += (uint64_t)got;
        if (blob->have > blob->size) return restart(blob, err);
    }
    blob->resumed = blob->have > 0;
    return STATUS_OK;
}

static enum status open_draft(struct blob *blob, struct error *err) {
    blob->file = open(blob->draft, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (blob->file < 0) return error_set_errno(err, STATUS_IO, "write", blob->draft);
    return take_draft(blob, err);
}

/* False when another process has it. A file system without locks is gone on without. */
static bool take_lock(struct blob *blob) {
    if (blob->lock >= 0) return true;
    blob->lock = open(blob->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (blob->lock < 0 || !flock(blob->lock, LOCK_EX | LOCK_NB) || errno != EWOULDBLOCK)
        return true;
    close(blob->lock);
    blob->lock = -1;
    return false;
}

static enum status finish(void *context, const char **again, struct error *err) {
    struct blob *blob = context;
    char found[DIGEST_HEX_SIZE];
    if (blob->have < blob->size) {
        *again = "the connection was cut";
        return STATUS_OK;
    }
    digest_end(blob->run, found);
    blob->run = NULL;
    if (strcmp(found, blob->digest) != 0) {
        bool resumed = blob->resumed;
        enum status status = restart(blob, err);
        if (!status && resumed) *again = "the parts that came do not make the file";
        if (status || resumed) return status;
        unlink(blob->draft);
        return error_set(err, STATUS_UNPROCESSABLE,
                         "%s: the digest of what came is %s, expected %s; nothing of it is kept",
                         blob->name, found, blob->digest);
    }
    if (fdatasync(blob->file) || rename(blob->draft, blob->path))
        return error_set_errno(err, STATUS_IO, "write", blob->path);
    release(blob);
    blob->done = true;
    return STATUS_OK;
}

static enum status prepare(void *context, enum transfer_turn *turn, uint64_t *from,
                           struct error *err) {
    struct blob *blob = context;
    struct stat info;
    *turn = take_lock(blob) ? TRANSFER_GO : TRANSFER_WAIT;
    if (*turn == TRANSFER_WAIT) return STATUS_OK;
    if (!stat(blob->path, &info)) { /* by another process, meanwhile */
        release(blob);
        blob->have = blob->size;
        blob->done = true;
        *turn = TRANSFER_SKIP;
        return STATUS_OK;
    }
    enum status status = blob->file < 0 ? open_draft(blob, err) : STATUS_OK;
    const char *again = NULL;
    if (!status && blob->have == blob->size) {
        status = finish(blob, &again, err);
        if (blob->done) *turn = TRANSFER_SKIP;
    }
    *from = blob->have;
    return status;
}

static enum status begin(void *context, uint64_t from, struct error *err) {
    struct blob *blob = context;
    assert(from == 0 || from == blob->have);
    if (from == 0) return blob->have ? restart(blob, err) : STATUS_OK;
    blob->resumed = true;
    return STATUS_OK;
}

static enum status write_part(void *context, struct bytes part, struct error *err) {
    struct blob *blob = context;
    if (part.size > blob->size - blob->have)
        return error_set(err, STATUS_UNPROCESSABLE,
                         "%s: more comes than the %" PRIu64 " bytes that the hub has named",
                         blob->name, blob->size);
    digest_add(blob->run, part);
    while (part.size) {
        ssize_t written = write(blob->file, part.data, part.size);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return error_set_errno(err, STATUS_IO, "write", blob->draft);
        blob->have += (uint64_t)written;
        part.data += written;
        part.size -= (size_t)written;
    }
    return STATUS_OK;
}

const struct transfer_sink blob_sink = {prepare, begin, write_part, finish};
