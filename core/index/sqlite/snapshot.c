#include "core/index/sqlite/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/index/collection_check.h"
#include "core/index/sqlite/collections.h"
#include "core/index/sqlite/items.h"
#include "core/index/sqlite/schema.h"

/* ---- writing ---- */

/* Copies everything in one step, of which a reader sees one state, whatever is written meanwhile.
 * The copy needs no other files beside it. */
static enum status copy(struct sqlite_store *store, const char *path, struct error *err) {
    struct sqlite_connection *reader = NULL, *target = NULL;
    enum status status = sqlite_store_reader(&reader, store, err);
    if (!status)
        status =
            sqlite_connection_open(&target, path, SQLITE_NEW_SNAPSHOT, SQLITE_FOR_WRITING, err);
    if (!status) {
        sqlite3_backup *backup = sqlite3_backup_init(target->db, "main", reader->db, "main");
        if (backup) sqlite3_backup_step(backup, -1);
        if (!backup || sqlite3_backup_finish(backup)) status = sqlite_report(target, "write", err);
    }
    if (!status) status = sqlite_execute(target, "PRAGMA journal_mode = DELETE", 0, err);
    sqlite_connection_close(target);
    if (reader) sqlite_store_give_back(store, reader);
    return status;
}

static enum status sync_path(const char *path, int flags, struct error *err) {
    int file = open(path, flags | O_CLOEXEC);
    if (file < 0) return error_set_errno(err, STATUS_IO, "open", "the snapshot");
    enum status status = STATUS_OK;
    if (fsync(file)) status = error_set_errno(err, STATUS_IO, "write", "the snapshot");
    close(file);
    return status;
}

static enum status publish(const char *partial, const char *path, struct error *err) {
    char *folder = strdup(path);
    if (!folder) return error_set(err, STATUS_NO_MEMORY, "out of memory for a path");
    enum status status = sync_path(partial, O_RDONLY, err);
    if (!status && rename(partial, path))
        status = error_set_errno(err, STATUS_IO, "write", "the snapshot");
    if (!status) status = sync_path(dirname(folder), O_RDONLY | O_DIRECTORY, err);
    free(folder);
    return status;
}

enum status sqlite_snapshot_write(void *self, const char *path, struct error *err) {
    struct sqlite_store *store = self;
    struct buffer partial;
    buffer_init(&partial, 1 << 16);
    enum status status = buffer_printf(&partial, err, "%s.partial-XXXXXX", path);
    if (!status) status = buffer_append(&partial, "", 1, err);
    if (status) return status;
    char *name = (char *)partial.data;
    int file = mkostemp(name, O_CLOEXEC); /* of mode 0600 */
    if (file < 0) {
        status = error_set_errno(err, STATUS_IO, "make", "the snapshot");
    } else {
        close(file);
        status = copy(store, name, err);
        if (!status) status = publish(name, path, err);
        if (status) unlink(name);
    }
    buffer_free(&partial);
    return status;
}

/* ---- restoring ---- */

/* The collection in the file. */
struct found {
    struct collection_spec spec;
    int64_t number;
    bool there;
};

static enum status note_found(void *context, int64_t number, const struct collection_spec *spec,
                              struct error *err) {
    (void)err;
    *(struct found *)context = (struct found){.spec = *spec, .number = number, .there = true};
    return STATUS_OK;
}

static enum status open_source(struct sqlite_connection **out, struct found *found,
                               const char *name, const char *path, struct error *err) {
    *found = (struct found){0};
    if (access(path, R_OK) && errno == ENOENT) {
        error_set_errno(err, STATUS_NOT_FOUND, "open", "the snapshot");
        return STATUS_NOT_FOUND;
    }
    enum status status =
        sqlite_connection_open(out, path, SQLITE_SNAPSHOT, SQLITE_FOR_READING, err);
    if (!status) status = sqlite_execute(*out, "BEGIN", 0, err);
    if (!status) status = sqlite_schema_check(*out, err);
    if (!status) status = sqlite_schema_list(*out, name, note_found, found, err);
    if (!status && !found->there)
        status =
            error_set(err, STATUS_NOT_FOUND, "%s has no collection \"%s\"", (*out)->name, name);
    return status;
}

static enum status copy_item(struct sqlite_store *store, struct sqlite_collection *target,
                             const struct sqlite_item_reader *source, uint64_t row,
                             struct error *err) {
    struct error reason = ERROR_NONE;
    struct item item;
    bool there;
    enum status status = sqlite_items_read(&item, &there, source, row, err);
    if (status || !there) return status;
    if (collection_check_item(&target->spec, &item, &reason))
        return sqlite_report_damage(source->connection, err, "row %llu: %s",
                                    (unsigned long long)row, reason.message);
    status = sqlite_items_insert(store->writer, target, target->next_row, &item, err);
    if (!status) status = vectors_put(target->vectors, &target->next_row, item.embedding, 1, err);
    target->next_row++;
    target->items++;
    return status;
}

static enum status copy_items(struct sqlite_store *store, struct sqlite_collection *target,
                              struct sqlite_connection *source, const struct found *found,
                              struct error *err) {
    const struct sqlite_collection from = {.spec = found->spec, .number = found->number};
    float embedding[COLLECTION_DIM_MAX];
    const struct sqlite_item_reader reader = {.connection = source,
                                              .collection = &from,
                                              .parts = ITEM_METADATA | ITEM_TEXT | ITEM_THUMBNAIL |
                                                       ITEM_DIGEST | ITEM_EMBEDDING,
                                              .embedding = embedding};
    sqlite3_stmt *rows;
    enum status status =
        sqlite_prepare(&rows, source, "SELECT row FROM items_@ ORDER BY row", found->number, err);
    while (!status) {
        bool there;
        status = sqlite_step(source, rows, &there, err);
        if (status || !there) break;
        status = copy_item(store, target, &reader, (uint64_t)sqlite3_column_int64(rows, 0), err);
    }
    return status;
}

/* With the writer's lock. The collection gets a new number, so that nothing of the old one, in
 * memory or beside the file, can be mistaken for it. *replaced is the old one, NULL if there was
 * none, to be released. */
static enum status restore(struct sqlite_collection **replaced, struct sqlite_store *store,
                           struct sqlite_connection *source, const struct found *found,
                           struct error *err) {
    struct sqlite_collection *old = sqlite_collections_find(store, found->spec.name), *new = NULL;
    struct sqlite_connection *writer = store->writer;
    int64_t number = 0;
    enum status status = old ? collection_compare(&old->spec, &found->spec, err) : STATUS_OK;
    if (!status) status = sqlite_execute(writer, "BEGIN IMMEDIATE", 0, err);
    if (!status && old) status = sqlite_schema_remove(writer, old->number, err);
    if (!status) status = sqlite_schema_add(&number, writer, &found->spec, err);
    if (!status) status = sqlite_collections_make(&new, store, &found->spec, number, err);
    if (!status) status = copy_items(store, new, source, found, err);
    if (!status) status = sqlite_execute(writer, "COMMIT", 0, err);
    if (status) {
        sqlite_collections_free(new);
        return status;
    }
    vectors_ready(new->vectors);
    sqlite_collections_swap(store, old, new);
    *replaced = old;
    return STATUS_OK;
}

enum status sqlite_snapshot_restore(void *self, const char *name, const char *path,
                                    struct error *err) {
    struct sqlite_store *store = self;
    struct sqlite_connection *source = NULL;
    struct sqlite_collection *replaced = NULL;
    struct found found;
    enum status status = open_source(&source, &found, name, path, err);
    if (!status) status = sqlite_store_lock(store, err);
    if (!status) {
        status = restore(&replaced, store, source, &found, err);
        sqlite_store_unlock(store);
    }
    if (replaced) sqlite_collections_release(store, replaced);
    sqlite_connection_close(source);
    return status;
}
