/* The items are asked for in the order of their paths, from the folder's own on, a batch at a
 * time, and taken out when all are known. */
#include "cli/prune.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct gone {
    const char *folder;
    struct bytes unread;     /* as in struct prune */
    struct buffer ids, last; /* ids: with a NUL behind each */
    size_t seen;
    bool past; /* the folder's paths */
};

static bool is_below(const char *path, const char *folder) {
    size_t size = strlen(folder);
    return !strncmp(path, folder, size) && path[size] == '/';
}

/* A disk that fails, a folder that may not be searched or a server that is away say something
 * else than that there is no such file. */
static bool is_gone(const char *path, struct bytes unread) {
    for (size_t at = 0; at < unread.size;) {
        const char *folder = (const char *)unread.data + at;
        if (is_below(path, folder)) return false;
        at += strlen(folder) + 1;
    }
    return access(path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

static enum status note_gone(void *context, const struct item *item, struct error *err) {
    struct gone *gone = context;
    size_t size = strlen(gone->folder);
    char path[COLLECTION_ID_MAX + 1];
    gone->seen++;
    gone->last.size = 0;
    enum status status = buffer_append(&gone->last, item->id.data, item->id.size, err);
    gone->past = item->id.size < size || memcmp(item->id.data, gone->folder, size) != 0;
    if (status || gone->past || item->id.data[size] != '/') return status;
    snprintf(path, sizeof(path), "%.*s", (int)item->id.size, (const char *)item->id.data);
    if (!is_gone(path, gone->unread)) return STATUS_OK;
    return buffer_append(&gone->ids, path, item->id.size + 1, err);
}

static enum status delete_ids(size_t *removed, const struct prune *prune, const struct buffer *ids,
                              struct error *err) {
    enum status status = STATUS_OK;
    for (size_t at = 0; at < ids->size && !status;) {
        struct bytes id = bytes_of((const char *)ids->data + at);
        uint64_t deleted = 0;
        status = collection_delete(prune->collections, prune->collection, &id, 1, &deleted, err);
        *removed += deleted;
        at += id.size + 1;
    }
    return status;
}

enum status prune_folder(size_t *removed, const struct prune *prune, const char *folder,
                         struct error *err) {
    struct gone gone = {.folder = folder, .unread = prune->unread};
    struct error found = ERROR_NONE;
    if (strlen(folder) > COLLECTION_ID_MAX) return STATUS_OK;
    buffer_init(&gone.ids, SIZE_MAX);
    buffer_init(&gone.last, COLLECTION_ID_MAX);
    enum status status = buffer_append(&gone.last, folder, strlen(folder), &found);
    do {
        gone.seen = 0;
        if (!status) {
            status = collection_scroll(prune->collections, prune->collection, NULL,
                                       buffer_view(&gone.last), COLLECTION_BATCH_MAX,
                                       &(struct item_visitor){0, note_gone, &gone}, &found);
        }
    } while (!status && gone.seen && !gone.past);
    if (!status) status = delete_ids(removed, prune, &gone.ids, &found);
    buffer_free(&gone.ids);
    buffer_free(&gone.last);
    /* Below a path that cannot be an id nothing was put in. */
    return status && status != STATUS_INVALID ? error_pass(err, &found) : STATUS_OK;
}
