#include "api/item_counts.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    char name[COLLECTION_NAME_MAX + 1];
    uint64_t items;
};

struct item_counts {
    pthread_mutex_t lock; /* protects everything below */
    size_t count;
    struct entry entries[ITEM_COUNTS_MAX];
};

enum status item_counts_create(struct item_counts **out, struct error *err) {
    struct item_counts *counts = calloc(1, sizeof(*counts));
    if (!counts) return error_set(err, STATUS_NO_MEMORY, "out of memory for counts of items");
    pthread_mutex_init(&counts->lock, NULL);
    *out = counts;
    return STATUS_OK;
}

void item_counts_destroy(struct item_counts *counts) {
    if (!counts) return;
    pthread_mutex_destroy(&counts->lock);
    free(counts);
}

/* To be called with the lock. NULL when it is not known, and there is no room or no wish. */
static struct entry *find(struct item_counts *counts, const char *name, bool add) {
    for (size_t i = 0; i < counts->count; i++) {
        if (!strcmp(counts->entries[i].name, name)) return &counts->entries[i];
    }
    if (!add || counts->count == ITEM_COUNTS_MAX || strlen(name) > COLLECTION_NAME_MAX) return NULL;
    struct entry *entry = &counts->entries[counts->count++];
    memcpy(entry->name, name, strlen(name) + 1);
    return entry;
}

void item_counts_set(struct item_counts *counts, const char *name, uint64_t items) {
    pthread_mutex_lock(&counts->lock);
    struct entry *entry = find(counts, name, true);
    if (entry) entry->items = items;
    pthread_mutex_unlock(&counts->lock);
}

void item_counts_add(struct item_counts *counts, const char *name, int64_t difference) {
    pthread_mutex_lock(&counts->lock);
    struct entry *entry = find(counts, name, false);
    uint64_t size = difference < 0 ? 0 - (uint64_t)difference : (uint64_t)difference;
    /* What another process put in may be deleted here. */
    if (entry && difference < 0)
        entry->items -= size < entry->items ? size : entry->items;
    else if (entry)
        entry->items += size;
    pthread_mutex_unlock(&counts->lock);
}

void item_counts_drop(struct item_counts *counts, const char *name) {
    pthread_mutex_lock(&counts->lock);
    struct entry *entry = find(counts, name, false);
    if (entry) *entry = counts->entries[--counts->count];
    pthread_mutex_unlock(&counts->lock);
}

static enum status note_name(void *context, const struct collection_spec *spec, struct error *err) {
    (void)err;
    item_counts_set(context, spec->name, 0);
    return STATUS_OK;
}

void item_counts_read(struct item_counts *counts, struct collections *collections) {
    if (collection_list(collections, note_name, counts, NULL)) return;
    for (size_t i = 0; i < counts->count; i++) {
        struct collection_stats stats;
        const char *name = counts->entries[i].name;
        /* Not collection_count(): of very many items that takes as long as the store allows, and
         * the server waits for it to start. */
        if (!collection_stats(collections, name, &stats, NULL))
            item_counts_set(counts, name, stats.items);
    }
}

void item_counts_write(struct exposition *out, struct item_counts *counts) {
    static const char name[] = "clipd_collection_items";
    exposition_family(out, name, "gauge", "Items of a collection, as far as this process knows.");
    pthread_mutex_lock(&counts->lock);
    for (size_t i = 0; i < counts->count; i++) {
        struct exposition_labels labels = {{{"collection", counts->entries[i].name}}};
        exposition_sample(out, name, &labels, (double)counts->entries[i].items);
    }
    pthread_mutex_unlock(&counts->lock);
}
