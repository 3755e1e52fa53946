#include "hub/pull.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "core/base/file.h"
#include "hub/answer.h"
#include "hub/blob.h"
#include "hub/selection.h"
#include "hub/snapshot.h"
#include "hub/transfer.h"
#include "hub/transfer_url.h"

struct pull {
    const struct repository *repository;
    const struct hub_settings *settings;
    const struct pull_observer *observer;
    struct listing listing;
    struct selection selection;
    struct snapshot snapshot;
};

/* Files that are fetched together. */
struct batch {
    const struct pull *pull;
    const char **names;         /* [count] */
    struct transfer *transfers; /* [count] */
    struct blob *blobs;         /* [count] */
    char **urls;                /* [count] */
    bool *told;                 /* [count]: the observer knows that it is done */
    size_t count, opened;       /* blobs */
};

/* ---- answers into memory ---- */

static enum status prepare_memory(void *context, enum transfer_turn *turn, uint64_t *from,
                                  struct error *err) {
    (void)context;
    (void)err;
    *turn = TRANSFER_GO;
    *from = 0;
    return STATUS_OK;
}

static enum status begin_memory(void *context, uint64_t from, struct error *err) {
    struct buffer *buffer = context;
    (void)from;
    (void)err;
    buffer_free(buffer);
    return STATUS_OK;
}

static enum status write_memory(void *context, struct bytes part, struct error *err) {
    struct error found = ERROR_NONE;
    enum status status = buffer_append(context, part.data, part.size, &found);
    return status ? error_set(err, status, "the hub's answer is too long: %s", found.message)
                  : STATUS_OK;
}

static enum status finish_memory(void *context, const char **again, struct error *err) {
    (void)context;
    (void)again;
    (void)err;
    return STATUS_OK;
}

static const struct transfer_sink memory_sink = {prepare_memory, begin_memory, write_memory,
                                                 finish_memory};

static void ignore_tick(void *context) {
    (void)context;
}

static struct transfer_observer quiet(const struct pull *pull) {
    return (struct transfer_observer){ignore_tick, pull->observer->notice, pull->observer->context};
}

static enum status list(struct pull *pull, struct error *err) {
    const struct transfer_observer observer = quiet(pull);
    struct buffer body;
    struct transfer transfer = {
        .name = pull->repository->name, .sink = &memory_sink, .context = &body};
    char *url = NULL;
    buffer_init(&body, ANSWER_SIZE_MAX);
    enum status status =
        transfer_listing_url(&url, pull->settings->endpoint, pull->repository, err);
    transfer.url = url;
    if (!status) status = transfers_run(&transfer, 1, pull->settings, &observer, err);
    if (!status) status = answer_read_listing(&pull->listing, buffer_view(&body), err);
    const char *asked = pull->repository->revision;
    if (!status && repository_is_commit(asked) && strcmp(asked, pull->listing.commit) != 0)
        status =
            error_set(err, STATUS_UNPROCESSABLE, "asked for commit %s, the hub answers with %s",
                      asked, pull->listing.commit);
    buffer_free(&body);
    free(url);
    return status;
}

/* ---- a batch of files ---- */

static enum status batch_init(struct batch *batch, const struct pull *pull,
                              const struct file_list *files, struct error *err) {
    size_t room = files->count + 1;
    *batch = (struct batch){.pull = pull,
                            .names = calloc(room, sizeof(*batch->names)),
                            .transfers = calloc(room, sizeof(*batch->transfers)),
                            .blobs = calloc(room, sizeof(*batch->blobs)),
                            .urls = calloc(room, sizeof(*batch->urls)),
                            .told = calloc(room, sizeof(*batch->told))};
    if (!batch->names || !batch->transfers || !batch->blobs || !batch->urls || !batch->told)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for %zu files", files->count);
    enum status status = STATUS_OK;
    for (size_t i = 0; i < files->count && !status; i++) {
        const char *name = files->paths[i];
        if (snapshot_has(&pull->snapshot, name)) continue;
        size_t at = batch->count++;
        batch->names[at] = name;
        status = transfer_file_url(&batch->urls[at], pull->settings->endpoint, pull->repository,
                                   pull->listing.commit, name, err);
        batch->transfers[at] = (struct transfer){.url = batch->urls[at], .name = name};
    }
    return status;
}

static void batch_free(struct batch *batch) {
    for (size_t i = 0; i < batch->opened; i++) blob_close(&batch->blobs[i]);
    for (size_t i = 0; i < batch->count; i++) free(batch->urls[i]);
    free(batch->names);
    free(batch->transfers);
    free(batch->blobs);
    free(batch->urls);
    free(batch->told);
}

/* Asks what each file is: its digest and its size. */
static enum status open_blobs(struct batch *batch, struct error *err) {
    const struct transfer_observer observer = quiet(batch->pull);
    enum status status =
        transfers_run(batch->transfers, batch->count, batch->pull->settings, &observer, err);
    for (size_t i = 0; i < batch->count && !status; i++) {
        struct transfer *transfer = &batch->transfers[i];
        struct blob *blob = &batch->blobs[i];
        if (transfer->size < 0)
            return error_set(err, STATUS_UNPROCESSABLE, "%s: the hub names no size",
                             transfer->name);
        status = blob_init(blob, &batch->pull->snapshot, transfer->name, transfer->digest,
                           (uint64_t)transfer->size, err);
        if (status) return status;
        batch->opened++;
        transfer->sink = &blob_sink;
        transfer->context = blob;
    }
    return status;
}

static struct pull_progress count_progress(const struct batch *batch) {
    struct pull_progress progress = {.files = batch->count};
    for (size_t i = 0; i < batch->count; i++) {
        const struct blob *blob = &batch->blobs[i];
        progress.have += blob->have;
        progress.total += blob->size;
        progress.done += blob->done;
    }
    return progress;
}

/* Asked before anything is written: a disk that is full hurts others, too. */
static enum status check_space(const struct batch *batch, struct error *err) {
    const char *folder = batch->pull->snapshot.model;
    struct statvfs disk;
    if (statvfs(folder, &disk)) return STATUS_OK; /* then the disk will say so itself */
    uint64_t left = (uint64_t)disk.f_bavail * disk.f_frsize;
    for (size_t i = 0; i < batch->count; i++) {
        const struct blob *blob = &batch->blobs[i];
        uint64_t needed = blob->size - blob->have;
        if (needed > left)
            return error_set(err, STATUS_IO,
                             "%s: %" PRIu64 " MB are needed, %s has room for %" PRIu64 " MB more",
                             blob->name, needed / 1000000, folder, left / 1000000);
        left -= needed;
    }
    return STATUS_OK;
}

static void tell(void *context) {
    struct batch *batch = context;
    const struct pull_observer *observer = batch->pull->observer;
    const struct pull_progress progress = count_progress(batch);
    for (size_t i = 0; i < batch->count; i++) {
        const struct blob *blob = &batch->blobs[i];
        if (!blob->done || batch->told[i]) continue;
        batch->told[i] = true;
        observer->file(observer->context, blob->name, blob->size);
    }
    observer->progress(observer->context, &progress);
}

static void notice(void *context, const char *message) {
    const struct pull_observer *observer = ((struct batch *)context)->pull->observer;
    observer->notice(observer->context, message);
}

static enum status fetch_batch(struct batch *batch, struct error *err) {
    const struct pull *pull = batch->pull;
    const struct transfer_observer observer = {tell, notice, batch};
    enum status status = open_blobs(batch, err);
    if (!status) status = check_space(batch, err);
    if (status) return status;
    const struct pull_progress progress = count_progress(batch);
    pull->observer->plan(pull->observer->context, pull->listing.commit, &progress);
    status = transfers_run(batch->transfers, batch->count, pull->settings, &observer, err);
    for (size_t i = 0; i < batch->count && !status; i++) {
        const struct blob *blob = &batch->blobs[i];
        status = snapshot_link(&pull->snapshot, blob->name, blob->digest, err);
    }
    return status;
}

/* Makes sure that the files are in the snapshot. */
static enum status fetch(const struct pull *pull, const struct file_list *files,
                         struct error *err) {
    struct batch batch;
    enum status status = batch_init(&batch, pull, files, err);
    if (!status && batch.count) status = fetch_batch(&batch, err);
    batch_free(&batch);
    return status;
}

/* ---- the story ---- */

/* The files that an index names must be the repository's. */
static enum status check_shards(const struct pull *pull, const struct file_list *shards,
                                struct error *err) {
    for (size_t i = 0; i < shards->count; i++) {
        if (!file_list_has(&pull->listing.files, shards->paths[i]))
            return error_set(err, STATUS_UNPROCESSABLE, "%s names '%.100s', which is not there",
                             pull->selection.weights, shards->paths[i]);
    }
    return STATUS_OK;
}

static enum status fetch_shards(const struct pull *pull, struct error *err) {
    struct file_list shards = {0};
    struct buffer text;
    char *path = NULL;
    buffer_init(&text, ANSWER_SIZE_MAX);
    enum status status =
        snapshot_path(&path, pull->snapshot.folder, pull->selection.weights, "", err);
    if (!status) status = file_read(&text, path, err);
    if (!status)
        status = answer_read_index(&shards, pull->selection.folder, buffer_view(&text), err);
    if (!status) status = check_shards(pull, &shards, err);
    if (!status) status = fetch(pull, &shards, err);
    file_list_free(&shards);
    buffer_free(&text);
    free(path);
    return status;
}

static enum status run(struct pull *pull, struct error *err) {
    const struct repository *repository = pull->repository;
    const char *commit = pull->listing.commit;
    enum status status = list(pull, err);
    if (!status) status = selection_choose(&pull->selection, &pull->listing.files, err);
    if (!status && !pull->selection.weights)
        status = error_set(err, STATUS_UNSUPPORTED,
                           "%s has no weights that are loaded here: model.safetensors, "
                           "open_clip_model.safetensors, pytorch_model.bin or the like",
                           repository->name);
    if (!status)
        status = snapshot_open(&pull->snapshot, pull->settings->cache, repository, commit, err);
    if (!status) status = fetch(pull, &pull->selection.files, err);
    if (!status && pull->selection.sharded) status = fetch_shards(pull, err);
    if (!status) status = snapshot_name(&pull->snapshot, repository->revision, commit, err);
    if (!status && !pull->selection.vocabulary)
        pull->observer->notice(pull->observer->context,
                               "it comes without a vocabulary; name one with the key 'vocab'");
    return status;
}

enum status pull_run(char **folder, const struct repository *repository,
                     const struct hub_settings *settings, const struct pull_observer *observer,
                     struct error *err) {
    struct pull pull = {.repository = repository, .settings = settings, .observer = observer};
    if (settings->offline) {
        struct error found = ERROR_NONE;
        if (!snapshot_find(folder, settings->cache, repository, &found)) return STATUS_OK;
        return error_set(err, found.status, "HF_HUB_OFFLINE is set, and %.250s", found.message);
    }
    enum status status = run(&pull, err);
    if (!status) {
        *folder = pull.snapshot.folder;
        pull.snapshot.folder = NULL;
    }
    snapshot_close(&pull.snapshot);
    selection_free(&pull.selection);
    answer_free_listing(&pull.listing);
    return status;
}
