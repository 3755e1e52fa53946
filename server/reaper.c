#include "server/reaper.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "core/base/clock.h"

enum { PERIOD_NS = 250 * CLOCK_NS_PER_MS };

struct reaper_entry {
    int fd;
    uint64_t deadline_ns;
    struct reaper_entry *next, **link; /* link points at what points here */
};

struct reaper {
    pthread_t thread;
    pthread_mutex_t lock; /* protects everything below and the entries */
    pthread_cond_t stop;
    struct reaper_entry *entries;
    uint64_t count;
    bool stopping;
};

static void *watch(void *argument) {
    struct reaper *reaper = argument;
    pthread_mutex_lock(&reaper->lock);
    while (!reaper->stopping) {
        uint64_t now = clock_now_ns();
        for (struct reaper_entry *entry = reaper->entries; entry; entry = entry->next) {
            if (now < entry->deadline_ns) continue;
            shutdown(entry->fd, SHUT_RDWR);
            entry->deadline_ns = CLOCK_NEVER;
        }
        struct timespec until = clock_timespec(now + PERIOD_NS);
        pthread_cond_clockwait(&reaper->stop, &reaper->lock, CLOCK_MONOTONIC, &until);
    }
    pthread_mutex_unlock(&reaper->lock);
    return NULL;
}

enum status reaper_create(struct reaper **out, struct error *err) {
    struct reaper *reaper = calloc(1, sizeof(*reaper));
    if (!reaper) return error_set(err, STATUS_NO_MEMORY, "out of memory for the reaper");
    pthread_mutex_init(&reaper->lock, NULL);
    pthread_cond_init(&reaper->stop, NULL);
    if (pthread_create(&reaper->thread, NULL, watch, reaper)) {
        free(reaper);
        return error_set(err, STATUS_UNAVAILABLE, "cannot start the reaper thread");
    }
    pthread_setname_np(reaper->thread, "reaper");
    *out = reaper;
    return STATUS_OK;
}

void reaper_destroy(struct reaper *reaper) {
    if (!reaper) return;
    pthread_mutex_lock(&reaper->lock);
    assert(!reaper->entries);
    reaper->stopping = true;
    pthread_cond_signal(&reaper->stop);
    pthread_mutex_unlock(&reaper->lock);
    pthread_join(reaper->thread, NULL);
    pthread_cond_destroy(&reaper->stop);
    pthread_mutex_destroy(&reaper->lock);
    free(reaper);
}

struct reaper_entry *reaper_add(struct reaper *reaper, int fd, uint64_t deadline_ns) {
    struct reaper_entry *entry = calloc(1, sizeof(*entry));
    if (!entry) return NULL;
    entry->fd = fd;
    entry->deadline_ns = deadline_ns;
    pthread_mutex_lock(&reaper->lock);
    entry->next = reaper->entries;
    entry->link = &reaper->entries;
    if (entry->next) entry->next->link = &entry->next;
    reaper->entries = entry;
    reaper->count++;
    pthread_mutex_unlock(&reaper->lock);
    return entry;
}

void reaper_remove(struct reaper *reaper, struct reaper_entry *entry) {
    if (!entry) return;
    pthread_mutex_lock(&reaper->lock);
    *entry->link = entry->next;
    if (entry->next) entry->next->link = entry->link;
    reaper->count--;
    pthread_mutex_unlock(&reaper->lock);
    free(entry);
}

void reaper_set_deadline(struct reaper *reaper, struct reaper_entry *entry, uint64_t deadline_ns) {
    if (!entry) return;
    pthread_mutex_lock(&reaper->lock);
    entry->deadline_ns = deadline_ns;
    pthread_mutex_unlock(&reaper->lock);
}

uint64_t reaper_count(struct reaper *reaper) {
    pthread_mutex_lock(&reaper->lock);
    uint64_t count = reaper->count;
    pthread_mutex_unlock(&reaper->lock);
    return count;
}
