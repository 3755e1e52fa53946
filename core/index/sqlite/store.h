/* store.h - what the files of the SQLite store share: the store and its locks.
 *
 * One file in a directory, which a lock file keeps to one process. One connection writes, under
 * the writer's lock; connections that read are taken from a list, each call its own. The embeddings
 * of each collection are in memory, too.
 *
 * How file and memory stay agreed: a writer puts new rows into memory before it commits and takes
 * them out again if that fails, and takes old rows out after it. So a search may see rows that are
 * not (or no longer) in the file: it looks every hit up there, and starts again when one is
 * missing. It would miss an item whose new row came behind the rows that it looks at, and whose old
 * one went before it got there: it starts again when rows were replaced meanwhile. See
 * search.c. A collection that is restored is another one, in the file for a moment before it
 * is in the list: who finds his is not in the file acquires it again. */
#ifndef CORE_INDEX_SQLITE_STORE_H
#define CORE_INDEX_SQLITE_STORE_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/base/turn.h"
#include "core/index/collection.h"
#include "core/index/sqlite/connection.h"
#include "core/index/vectors.h"

struct sqlite_collection {
    struct collection_spec spec; /* constant, as the next two */
    int64_t number;
    char *cache_path;
    struct vectors *vectors;
    _Atomic uint64_t items;
    _Atomic uint64_t replaced; /* raised when new rows are in memory, before old ones leave it */
    uint64_t next_row;         /* under the writer's lock */
    /* Under the store's lock. */
    size_t references;
    bool dropped; /* also only with the writer's lock */
    struct sqlite_collection *next;
};

struct sqlite_store {
    unsigned features;
    uint64_t approximate_from;
    uint64_t timeout_ns; /* for all that a call reads from the file, and for its turn to write */
    struct crew *crew;   /* helps searches */
    char *directory, *path;
    int lock_file;

    /* The writer's lock is taken in two steps, so that a thread that waits for it waits for one
     * holder only, however soon that one comes back. */
    struct turn queue, writing;
    struct sqlite_connection *writer;

    pthread_mutex_t lock;                  /* protects what follows */
    struct sqlite_collection *collections; /* by name */
    struct sqlite_connection *idle;
    size_t idle_count;
};

/* Takes the writer's lock; its connection has no transaction yet. STATUS_OVERLOADED when others
 * have it for longer than timeout_ns; what is left of that is for who else has the file. */
enum status sqlite_store_lock(struct sqlite_store *store, struct error *err);
/* What was not committed is rolled back. */
void sqlite_store_unlock(struct sqlite_store *store);

/* A connection to read with, in no transaction yet. */
enum status sqlite_store_reader(struct sqlite_connection **out, struct sqlite_store *store,
                                struct error *err);
/* The same, looking at the file as it is now until it is given back, or for timeout_ns; *out
 * is NULL if the collection is in it no more: it was dropped, or restored, after it was
 * acquired. */
enum status sqlite_store_read(struct sqlite_connection **out, struct sqlite_store *store,
                              const struct sqlite_collection *collection, struct error *err);
void sqlite_store_give_back(struct sqlite_store *store, struct sqlite_connection *reader);

#endif
