#include "core/index/sqlite/leftovers.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/log.h"

typedef bool leftover_fn(const struct sqlite_store *store, const char *name);

/* NAME.partial-XXXXXX of snapshot.c, and what SQLite keeps beside it. */
static bool is_partial(const struct sqlite_store *store, const char *name) {
    static const char *const ends[] = {"", "-journal", "-wal", "-shm"};
    static const char mark[] = ".partial-";
    enum { MARK_SIZE = sizeof(mark) - 1, RANDOM_SIZE = 6 };
    (void)store;
    for (const char *at = strstr(name, mark); at; at = strstr(at + 1, mark)) {
        if (strlen(at) < MARK_SIZE + RANDOM_SIZE) continue;
        for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
            if (strcmp(at + MARK_SIZE + RANDOM_SIZE, ends[i]) == 0) return true;
        }
    }
    return false;
}

/* index-N.hnsw, or a new one on its way, of a collection that is not there. */
static bool is_stray_index(const struct sqlite_store *store, const char *name) {
    long long number = 0;
    int end = 0;
    if (sscanf(name, "index-%lld.hnsw%n", &number, &end) != 1 || !end) return false;
    if (name[end] && strcmp(name + end, ".new") != 0) return false;
    const struct sqlite_collection *collection = store->collections;
    while (collection && collection->number != number) collection = collection->next;
    return !collection;
}

static void remove_from(const struct sqlite_store *store, const char *folder, leftover_fn *is_one) {
    DIR *directory = opendir(folder);
    if (!directory) return;
    for (const struct dirent *entry; (entry = readdir(directory));) {
        if (!is_one(store, entry->d_name)) continue;
        char *path = file_join(folder, entry->d_name);
        if (path && !unlink(path)) log_message(LOG_INFO, "%s was left unfinished: deleted", path);
        free(path);
    }
    closedir(directory);
}

void sqlite_leftovers_remove(const struct sqlite_store *store) {
    char *snapshots = file_join(store->directory, COLLECTIONS_SNAPSHOTS);
    remove_from(store, store->directory, is_stray_index);
    if (snapshots) remove_from(store, snapshots, is_partial);
    free(snapshots);
}
