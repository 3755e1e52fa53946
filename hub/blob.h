/* blob.h - one file on its way into the cache: locked against other processes, appended to
 * DIGEST.incomplete, and renamed when it is whole and its digest is right. What is there when
 * a process dies is gone on with; older versions of huggingface_hub call it the same. */
#ifndef HUB_BLOB_H
#define HUB_BLOB_H

#include "hub/digest.h"
#include "hub/snapshot.h"
#include "hub/transfer.h"

struct blob {
    const char *name; /* of the file, for messages; the caller's */
    char digest[DIGEST_HEX_SIZE];
    uint64_t size;
    char *path, *draft, *lock_path;
    int file, lock;     /* -1 when not open */
    struct digest *run; /* of the first `have` bytes */
    uint64_t have;      /* bytes that are there */
    bool resumed;       /* they have come in more than one part */
    bool done;
};

/* Opens nothing yet; STATUS_UNPROCESSABLE for a digest that is none. On failure there is
 * nothing to close. */
enum status blob_init(struct blob *out, const struct snapshot *snapshot, const char *name,
                      const char *digest, uint64_t size, struct error *err);
/* Keeps the draft, if it is not done. */
void blob_close(struct blob *blob);

/* What a transfer with a blob for its context does with what it gets. */
extern const struct transfer_sink blob_sink;

#endif
