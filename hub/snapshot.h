/* snapshot.h - the directory of models that Python's huggingface_hub keeps, too, by its
 * layout:
 *
 *     models--org--name/blobs/DIGEST             what a file holds
 *     models--org--name/snapshots/COMMIT/PATH    a link to it
 *     models--org--name/refs/REVISION            the commit that it was last
 *     .locks/models--org--name/DIGEST.lock       held by whoever fetches the blob */
#ifndef HUB_SNAPSHOT_H
#define HUB_SNAPSHOT_H

#include "hub/repository.h"

/* The folder of a revision that is complete enough to be loaded: newly allocated.
 * STATUS_NOT_FOUND if it is not there, or lacks its weights or some of their shards. */
enum status snapshot_find(char **out, const char *cache, const struct repository *repository,
                          struct error *err);

/* One commit of a model, being put together. */
struct snapshot {
    char *model;  /* models--org--name */
    char *locks;  /* .locks/models--org--name */
    char *folder; /* snapshots/COMMIT in `model` */
};

/* Makes the directories. On failure there is nothing to close. */
enum status snapshot_open(struct snapshot *out, const char *cache,
                          const struct repository *repository, const char *commit,
                          struct error *err);
void snapshot_close(struct snapshot *snapshot);

/* True when the file is there, whoever put it there. */
bool snapshot_has(const struct snapshot *snapshot, const char *path);
/* Links a file of the snapshot to a blob, by a name that appears at once. */
enum status snapshot_link(const struct snapshot *snapshot, const char *path, const char *digest,
                          struct error *err);
/* Notes that the revision is this commit, when all files are there. */
enum status snapshot_name(const struct snapshot *snapshot, const char *revision, const char *commit,
                          struct error *err);

/* Newly allocated "a/b/c"; c may be "" for "a/b". */
enum status snapshot_path(char **out, const char *a, const char *b, const char *c,
                          struct error *err);

#endif
