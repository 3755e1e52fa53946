#include "core/classify/label_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 4096 }; /* a power of two; the keys are uniform already */

struct entry {
    uint8_t key[SHA256_SIZE];
    struct entry *chain;         /* in its bucket */
    struct entry *newer, *older; /* in the order of use */
    size_t size;                 /* of the values, in bytes */
    size_t prompts; /* of which they are the sum, as doubles; 0: the whole class, as floats */
    bool truncated;
    double values[];
};

struct label_cache {
    pthread_mutex_t lock; /* protects everything below */
    size_t bytes, bytes_max;
    uint64_t hits, misses;
    struct entry *newest, *oldest;
    struct entry *buckets[BUCKETS];
};

static size_t entry_bytes(size_t size) {
    return sizeof(struct entry) + size;
}

enum status label_cache_create(struct label_cache **out, size_t bytes_max, struct error *err) {
    struct label_cache *cache = calloc(1, sizeof(*cache));
    if (!cache) return error_set(err, STATUS_NO_MEMORY, "out of memory for the label cache");
    cache->bytes_max = bytes_max;
    pthread_mutex_init(&cache->lock, NULL);
    *out = cache;
    return STATUS_OK;
}

void label_cache_destroy(struct label_cache *cache) {
    if (!cache) return;
    for (struct entry *entry = cache->newest; entry;) {
        struct entry *older = entry->older;
        free(entry);
        entry = older;
    }
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

static struct entry **bucket_of(struct label_cache *cache, const uint8_t *key) {
    return &cache->buckets[(key[0] | key[1] << 8) % BUCKETS];
}

static struct entry *find(struct label_cache *cache, const uint8_t *key) {
    struct entry *entry = *bucket_of(cache, key);
    while (entry && memcmp(entry->key, key, SHA256_SIZE) != 0) entry = entry->chain;
    return entry;
}

static void unlink_use(struct label_cache *cache, struct entry *entry) {
    if (entry->newer)
        entry->newer->older = entry->older;
    else
        cache->newest = entry->older;
    if (entry->older)
        entry->older->newer = entry->newer;
    else
        cache->oldest = entry->newer;
}

static void link_newest(struct label_cache *cache, struct entry *entry) {
    entry->newer = NULL;
    entry->older = cache->newest;
    if (cache->newest)
        cache->newest->newer = entry;
    else
        cache->oldest = entry;
    cache->newest = entry;
}

static void evict(struct label_cache *cache, struct entry *entry) {
    struct entry **link = bucket_of(cache, entry->key);
    while (*link != entry) link = &(*link)->chain;
    *link = entry->chain;
    unlink_use(cache, entry);
    cache->bytes -= entry_bytes(entry->size);
    free(entry);
}

/* Needs the lock. */
static void take(struct label_cache *cache, struct entry *entry, void *values, bool *truncated) {
    unlink_use(cache, entry);
    link_newest(cache, entry);
    memcpy(values, entry->values, entry->size);
    *truncated = entry->truncated;
}

bool label_cache_get(struct label_cache *cache, const uint8_t key[SHA256_SIZE], float *embedding,
                     size_t dim, bool *truncated) {
    pthread_mutex_lock(&cache->lock);
    struct entry *entry = find(cache, key);
    bool found = entry && !entry->prompts && entry->size == dim * sizeof(*embedding);
    if (found) take(cache, entry, embedding, truncated);
    cache->hits += found;
    cache->misses += !found;
    pthread_mutex_unlock(&cache->lock);
    return found;
}

bool label_cache_get_part(struct label_cache *cache, const uint8_t key[SHA256_SIZE], double *sum,
                          size_t dim, size_t *prompts, bool *truncated) {
    pthread_mutex_lock(&cache->lock);
    struct entry *entry = find(cache, key);
    bool found = entry && entry->prompts && entry->size == dim * sizeof(*sum);
    if (found) {
        take(cache, entry, sum, truncated);
        *prompts = entry->prompts;
    }
    pthread_mutex_unlock(&cache->lock);
    return found;
}

static struct entry *make_entry(const struct label_cache *cache, const uint8_t *key,
                                const void *values, size_t size) {
    size_t bytes = entry_bytes(size);
    struct entry *entry = bytes <= cache->bytes_max ? malloc(bytes) : NULL;
    if (!entry) return NULL;
    memcpy(entry->key, key, SHA256_SIZE);
    memcpy(entry->values, values, size);
    entry->size = size;
    return entry;
}

/* Takes the entry over. */
static void put(struct label_cache *cache, struct entry *entry) {
    size_t bytes = entry_bytes(entry->size);
    pthread_mutex_lock(&cache->lock);
    struct entry *old = find(cache, entry->key);
    bool less = old && old->prompts && (!entry->prompts || old->prompts < entry->prompts);
    if (less) evict(cache, old);
    if (old && !less) { /* another request was faster */
        free(entry);
    } else {
        while (cache->oldest && cache->bytes + bytes > cache->bytes_max) {
            evict(cache, cache->oldest); /* NOLINT(clang-analyzer-unix.Malloc): it cannot see
                                            that the entry left its bucket and the order */
        }
        struct entry **bucket = bucket_of(cache, entry->key);
        entry->chain = *bucket;
        *bucket = entry;
        link_newest(cache, entry);
        cache->bytes += bytes;
    }
    pthread_mutex_unlock(&cache->lock);
}

void label_cache_put(struct label_cache *cache, const uint8_t key[SHA256_SIZE],
                     const float *embedding, size_t dim, bool truncated) {
    struct entry *entry = make_entry(cache, key, embedding, dim * sizeof(*embedding));
    if (!entry) return;
    entry->prompts = 0;
    entry->truncated = truncated;
    put(cache, entry);
}

void label_cache_put_part(struct label_cache *cache, const uint8_t key[SHA256_SIZE],
                          const double *sum, size_t dim, size_t prompts, bool truncated) {
    struct entry *entry = make_entry(cache, key, sum, dim * sizeof(*sum));
    if (!entry) return;
    entry->prompts = prompts;
    entry->truncated = truncated;
    put(cache, entry);
}

void label_cache_read_stats(struct label_cache *cache, struct classifier_stats *out) {
    pthread_mutex_lock(&cache->lock);
    *out = (struct classifier_stats){
        .hits = cache->hits, .misses = cache->misses, .bytes = cache->bytes};
    pthread_mutex_unlock(&cache->lock);
}
