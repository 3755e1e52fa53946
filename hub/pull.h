/* pull.h - a model from a hub into the cache: the whole story. */
#ifndef HUB_PULL_H
#define HUB_PULL_H

#include "hub/repository.h"
#include "hub/settings.h"

struct pull_progress {
    uint64_t have, total; /* bytes of the files that were not there whole */
    size_t done, files;
};

/* What a caller is told meanwhile; all are called by the thread that calls pull_run(). */
struct pull_observer {
    /* A revision is this commit, and so much is to be fetched; again for the shards of sharded
     * weights. */
    void (*plan)(void *context, const char *commit, const struct pull_progress *progress);
    void (*progress)(void *context, const struct pull_progress *progress); /* often */
    void (*file)(void *context, const char *name, uint64_t size);          /* it is there */
    void (*notice)(void *context, const char *message);
    void *context;
};

/* Fetches what is missing of the files that the model needs. `folder` receives the folder
 * that has them, newly allocated, for the user to be named as a model's path.
 *
 * STATUS_NOT_FOUND: no such model, or offline and not in the cache. STATUS_DENIED: it takes a
 * token. STATUS_UNSUPPORTED: it has no weights that we load. STATUS_UNPROCESSABLE: the hub's
 * answers make no sense, or a digest is wrong. STATUS_UNAVAILABLE, STATUS_OVERLOADED: the
 * hub. STATUS_IO: the disk. What has come is kept, and the next call goes on with it. */
enum status pull_run(char **folder, const struct repository *repository,
                     const struct hub_settings *settings, const struct pull_observer *observer,
                     struct error *err);

#endif
