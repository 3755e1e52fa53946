/* residents.h - models in memory, and on their way in and out. For registry.c alone, which
 * knows their names.
 *
 * One lock for all of them: what is done under it takes microseconds. Loading and freeing are
 * done without it, on threads of their own, so that nobody waits but who needs the model. */
#ifndef CORE_RESIDENTS_H
#define CORE_RESIDENTS_H

#include <pthread.h>

#include "core/base/sha256.h"
#include "core/registry_model.h"

struct resident_waiter;

/* Where a model stands between one configuration and the next. */
enum resident_standing {
    RESIDENT_COMING, /* has no name yet */
    RESIDENT_SERVING,
    RESIDENT_GOING, /* serves until its successors are ready */
    RESIDENT_GONE,  /* freed when its last request is done */
};

struct resident {
    struct residents *residents;
    struct registry_copy options; /* how it is opened; constant */

    /* Under the lock. */
    struct registry_copy names; /* what it is called, and when it is loaded */
    /* The same of the configuration that is being tried: whether it may make room. */
    enum registry_load load;
    enum resident_standing standing;
    enum registry_state state;
    struct engine *engine; /* while it can be used, and while its last requests run */
    size_t bytes;          /* reserved or in use */
    size_t held;           /* acquired and not yet released, and visits */
    uint64_t used;         /* the residents' clock when it was last asked for */
    struct resident_waiter *waiters;
    char digest[SHA256_HEX_SIZE];   /* of the weights; "" before the first load */
    char identity[SHA256_HEX_SIZE]; /* of the files that were loaded, or are being loaded */
    struct error failure;           /* of the last load */
    uint64_t loads, failures, evictions;
    struct resident *next;

    struct histogram load_ns;
};

struct residents {
    struct runtime *runtime;
    pthread_mutex_t lock; /* protects everything below */
    pthread_cond_t changed;
    struct resident *first; /* in the order of the configuration, then those that are gone */
    uint64_t clock;
    size_t memory_max;
    uint32_t waiting_max, waiting; /* requests */
    uint32_t loading;              /* threads */
    uint32_t seeking;              /* of these, those that wait for room */
};

void residents_init(struct residents *residents, struct runtime *runtime);
/* Waits for the loads that are under way, and frees every model; none may be held. */
void residents_free(struct residents *residents);

/* A model that is coming, not loaded, at the end of the list. Takes the lock. */
enum status resident_create(struct resident **out, struct residents *residents,
                            const struct registry_model *model, struct error *err);
/* Waits until nobody has it any more, and frees it. Takes the lock. */
void resident_destroy(struct resident *resident);

/* Loads a model on this thread; nobody else knows it yet. Takes the lock. */
enum status resident_load(struct resident *resident, struct error *err);
/* Whether the files that were loaded are still the same. Takes the lock. */
bool resident_is_current(struct resident *resident);

/* Frees idle models as long as they take more than there may be. Takes the lock. */
void residents_trim(struct residents *residents);

/* Takes hold of a model, loading it if need be, and waiting until `deadline_ns`. Needs the
 * lock, and lets go of it while waiting. */
enum status resident_hold(struct resident *resident, uint64_t deadline_ns, struct engine **out,
                          struct error *err);
/* Needs the lock. */
void resident_release(struct resident *resident);

#endif
