/* A model is unloaded, loading, loaded or unloading. Requests for one that is not loaded
 * queue up as waiters; who finishes a load gives each of them its hold before letting go of the
 * lock, so that no model is taken out of memory again before those have been served who it was
 * loaded for.
 *
 * Room is made by the loading thread: it closes idle lazy models, the least recently used
 * first. When all are busy it has the least recently used take no more requests (they wait,
 * as if it were unloaded), and closes it after its last. So a busy model delays another,
 * but never keeps it out. */
#include "core/residents.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/log.h"

struct resident_waiter {
    struct resident_waiter *next;
    bool done;
    struct engine *engine; /* held for the waiter; NULL: see the error */
    struct error error;
};

void residents_init(struct residents *residents, struct runtime *runtime) {
    *residents = (struct residents){.runtime = runtime};
    pthread_mutex_init(&residents->lock, NULL);
    pthread_cond_init(&residents->changed, NULL);
}

enum status resident_create(struct resident **out, struct residents *residents,
                            const struct registry_model *model, struct error *err) {
    struct resident *resident = calloc(1, sizeof(*resident));
    if (!resident) return error_set(err, STATUS_NO_MEMORY, "out of memory for a model");
    resident->residents = residents;
    resident->load = model->load;
    histogram_init(&resident->load_ns, &histogram_durations);
    enum status status = registry_copy_init(&resident->options, model, err);
    if (!status) status = registry_copy_init(&resident->names, model, err);
    if (status) {
        registry_copy_free(&resident->options);
        free(resident);
        return status;
    }
    pthread_mutex_lock(&residents->lock);
    struct resident **link = &residents->first;
    while (*link) link = &(*link)->next;
    *link = resident;
    pthread_mutex_unlock(&residents->lock);
    *out = resident;
    return STATUS_OK;
}

/* ---- what is logged ---- */

/* What a model runs in; of int8 also how near that is to fp32, which profile says so. */
static void log_loaded(const struct engine_options *options, const struct engine_info *info,
                       const char *kernels, uint64_t load_ns, size_t bytes) {
    char cosine[32] = "not measured";
    const struct engine_quantization *quantization = &info->quantization;
    if (quantization->measured) snprintf(cosine, sizeof(cosine), "%.6f", quantization->cosine);
    const struct log_field fields[] = {
        {.name = "model", .kind = LOG_FIELD_STRING, .string = info->name},
        {.name = "path", .kind = LOG_FIELD_STRING, .string = options->path},
        {.name = "load_ms", .kind = LOG_FIELD_MS, .number = load_ns},
        {.name = "bytes", .kind = LOG_FIELD_COUNT, .number = bytes},
        {.name = "kernels", .kind = LOG_FIELD_STRING, .string = kernels},
        {.name = "precision", .kind = LOG_FIELD_STRING, .string = info->precision},
        {.name = "cosine", .kind = LOG_FIELD_STRING, .string = cosine},
        {.name = "exceptions", .kind = LOG_FIELD_COUNT, .number = quantization->exceptions},
        {.name = "profile", .kind = LOG_FIELD_STRING, .string = quantization->profile},
    };
    size_t count = sizeof(fields) / sizeof(fields[0]);
    /* The profile is the last, the rest only int8 has. */
    if (!info->quantized)
        count -= 3;
    else if (!quantization->profile)
        count--;
    log_event(LOG_INFO, "loaded", fields, count);
}

static void log_unloaded(const char *name, size_t bytes, const char *reason) {
    const struct log_field fields[] = {
        {.name = "model", .kind = LOG_FIELD_STRING, .string = name},
        {.name = "bytes", .kind = LOG_FIELD_COUNT, .number = bytes},
        {.name = "reason", .kind = LOG_FIELD_STRING, .string = reason},
    };
    log_event(LOG_INFO, "unloaded", fields, sizeof(fields) / sizeof(fields[0]));
}

/* ---- waiters ---- */

/* Needs the lock. Ends the waiting: with a hold each, or with the failure. */
static void answer_waiters(struct resident *resident, const struct error *failure) {
    for (struct resident_waiter *w = resident->waiters; w; w = w->next) {
        w->done = true;
        w->engine = failure ? NULL : resident->engine;
        if (failure)
            w->error = *failure;
        else
            resident->held++;
    }
    resident->waiters = NULL;
}

/* What a request is told of a load that failed: the model is at fault and will be, or the
 * state of the machine, which may pass. */
static void describe_failure(struct error *out, const struct resident *resident,
                             const struct error *failure) {
    bool model = failure->status == STATUS_INVALID || failure->status == STATUS_UNSUPPORTED ||
                 failure->status == STATUS_UNPROCESSABLE || failure->status == STATUS_CONFLICT ||
                 failure->status == STATUS_TOO_LARGE;
    *out = ERROR_NONE;
    error_set(out, model ? STATUS_UNPROCESSABLE : STATUS_UNAVAILABLE,
              "model \"%.64s\" cannot be loaded: %s", resident->options.model.engine.name,
              failure->message);
}

/* ---- room ---- */

static void start_load(struct resident *resident);

static bool can_be_evicted(const struct resident *resident) {
    return resident->engine && resident->load == REGISTRY_LAZY &&
           resident->standing == RESIDENT_SERVING;
}

/* Needs the lock. Whether `a` is the better one to go. */
static bool goes_before(const struct resident *a, const struct resident *b) {
    if ((a->held == 0) != (b->held == 0)) return a->held == 0;
    bool a_ends = a->state == REGISTRY_UNLOADING, b_ends = b->state == REGISTRY_UNLOADING;
    if (a_ends != b_ends) return a_ends;
    return a->used < b->used;
}

/* Needs the lock. NULL when none can go. */
static struct resident *choose_victim(const struct residents *residents) {
    struct resident *victim = NULL;
    for (struct resident *r = residents->first; r; r = r->next) {
        if (can_be_evicted(r) && (!victim || goes_before(r, victim))) victim = r;
    }
    return victim;
}

/* Needs the lock, and lets go of it meanwhile. The model must not be held. Without a reason
 * nobody is told. */
static void unload(struct resident *resident, const char *reason) {
    struct residents *residents = resident->residents;
    struct engine *engine = resident->engine;
    assert(engine && !resident->held);
    resident->engine = NULL;
    resident->state = REGISTRY_UNLOADING;
    pthread_mutex_unlock(&residents->lock);
    engine_close(engine);
    if (reason) log_unloaded(resident->options.model.engine.name, resident->bytes, reason);
    pthread_mutex_lock(&residents->lock);
    resident->bytes = 0;
    resident->state = REGISTRY_UNLOADED;
    if (resident->waiters) start_load(resident);
    pthread_cond_broadcast(&residents->changed);
}

/* Needs the lock. What is going makes room for its successors, whenever that may be. */
static size_t bytes_in_use(const struct residents *residents, bool only_eager) {
    size_t sum = 0;
    for (const struct resident *r = residents->first; r; r = r->next) {
        if (r->standing == RESIDENT_GOING || r->standing == RESIDENT_GONE) continue;
        if (only_eager && r->load != REGISTRY_EAGER) continue;
        sum += r->bytes;
    }
    return sum;
}

/* Needs the lock. Nobody seeks room any more: who was to go may stay. */
static void reprieve(struct residents *residents) {
    for (struct resident *r = residents->first; r; r = r->next) {
        if (r->state != REGISTRY_UNLOADING || !r->engine) continue;
        r->state = REGISTRY_LOADED;
        answer_waiters(r, NULL);
    }
    pthread_cond_broadcast(&residents->changed);
}

/* Needs the lock, and lets go of it while waiting. */
static enum status seek_room(struct resident *resident, size_t bytes, struct error *err) {
    struct residents *residents = resident->residents;
    for (;;) {
        size_t max = residents->memory_max;
        if (!max) return STATUS_OK;
        size_t used = bytes_in_use(residents, false), eager = bytes_in_use(residents, true);
        if (used <= max && bytes <= max - used) return STATUS_OK;
        if (eager > max || bytes > max - eager) {
            return error_set(err, STATUS_UNPROCESSABLE,
                             "it takes %zu bytes; models_memory_max is %zu, of which the models "
                             "that stay loaded have %zu",
                             bytes, max, eager);
        }
        struct resident *victim = choose_victim(residents);
        if (victim && !victim->held) {
            victim->evictions++;
            unload(victim, "room");
            continue;
        }
        if (victim) victim->state = REGISTRY_UNLOADING;
        pthread_cond_wait(&residents->changed, &residents->lock);
    }
}

/* Takes the lock. */
static enum status reserve_room(struct resident *resident, const struct engine_needs *needs,
                                struct error *err) {
    struct residents *residents = resident->residents;
    pthread_mutex_lock(&residents->lock);
    memcpy(resident->identity, needs->identity, sizeof(resident->identity));
    residents->seeking++;
    enum status status = seek_room(resident, needs->bytes, err);
    if (!status) resident->bytes = needs->bytes;
    if (--residents->seeking == 0) reprieve(residents);
    pthread_mutex_unlock(&residents->lock);
    return status;
}

void residents_trim(struct residents *residents) {
    pthread_mutex_lock(&residents->lock);
    for (;;) {
        struct resident *victim = choose_victim(residents);
        size_t max = residents->memory_max;
        if (!max || bytes_in_use(residents, false) <= max || !victim || victim->held) break;
        victim->evictions++;
        unload(victim, "room");
    }
    pthread_mutex_unlock(&residents->lock);
}

/* ---- loading ---- */

/* Takes the lock. */
static void finish_load(struct resident *resident, struct engine *engine,
                        const struct error *failure) {
    struct residents *residents = resident->residents;
    struct error told;
    pthread_mutex_lock(&residents->lock);
    resident->engine = engine;
    resident->failure = *failure;
    if (engine) {
        resident->state = REGISTRY_LOADED;
        resident->loads++;
        memcpy(resident->digest, engine_info(engine)->sha256, sizeof(resident->digest));
        answer_waiters(resident, NULL);
    } else {
        resident->state = REGISTRY_UNLOADED;
        resident->failures++;
        resident->bytes = 0;
        describe_failure(&told, resident, failure);
        answer_waiters(resident, &told);
    }
    pthread_cond_broadcast(&residents->changed);
    pthread_mutex_unlock(&residents->lock);
}

/* The state must be REGISTRY_LOADING, which makes the caller the only one to load. A failure
 * that no caller wants to know is logged. The model may be gone afterwards. */
static enum status load(struct resident *resident, struct error *err) {
    const struct engine_options *options = &resident->options.model.engine;
    struct runtime *runtime = resident->residents->runtime;
    struct error failure = ERROR_NONE;
    struct engine_needs needs;
    struct engine *engine = NULL;
    uint64_t started = clock_now_ns();
    enum status status = engine_measure(&needs, runtime, options, &failure);
    if (!status) status = reserve_room(resident, &needs, &failure);
    if (!status) status = engine_open(&engine, runtime, options, &failure);
    uint64_t load_ns = clock_now_ns() - started;
    if (!status) {
        histogram_observe(&resident->load_ns, load_ns);
        log_loaded(options, engine_info(engine), runtime_kernels_name(runtime), load_ns,
                   needs.bytes);
    } else if (!err) {
        log_message(LOG_ERROR, "model %s cannot be loaded: %s", options->name, failure.message);
    }
    finish_load(resident, engine, &failure);
    return status ? error_pass(err, &failure) : STATUS_OK;
}

enum status resident_load(struct resident *resident, struct error *err) {
    struct residents *residents = resident->residents;
    pthread_mutex_lock(&residents->lock);
    assert(resident->state == REGISTRY_UNLOADED);
    resident->state = REGISTRY_LOADING;
    pthread_mutex_unlock(&residents->lock);
    return load(resident, err);
}

static void *run_load(void *argument) {
    struct resident *resident = argument;
    struct residents *residents = resident->residents;
    load(resident, NULL);
    pthread_mutex_lock(&residents->lock);
    residents->loading--;
    pthread_cond_broadcast(&residents->changed);
    pthread_mutex_unlock(&residents->lock);
    return NULL;
}

/* Needs the lock. */
static void start_load(struct resident *resident) {
    pthread_t thread;
    resident->state = REGISTRY_LOADING;
    resident->residents->loading++;
    if (!pthread_create(&thread, NULL, run_load, resident)) {
        pthread_setname_np(thread, "loader");
        pthread_detach(thread);
        return;
    }
    struct error told = ERROR_NONE;
    error_set(&told, STATUS_UNAVAILABLE, "cannot start a thread that loads model \"%.64s\"",
              resident->options.model.engine.name);
    resident->residents->loading--;
    resident->state = REGISTRY_UNLOADED;
    resident->failures++;
    resident->failure = told;
    answer_waiters(resident, &told);
}

bool resident_is_current(struct resident *resident) {
    const struct engine_options *options = &resident->options.model.engine;
    struct residents *residents = resident->residents;
    struct engine_needs needs;
    bool found = engine_measure(&needs, residents->runtime, options, NULL) == STATUS_OK;
    pthread_mutex_lock(&residents->lock);
    /* What is not loaded will be loaded as it is then. */
    bool loads = resident->engine || resident->state == REGISTRY_LOADING;
    bool current = !loads || (found && !strcmp(needs.identity, resident->identity));
    pthread_mutex_unlock(&residents->lock);
    return current;
}

/* ---- holding ---- */

/* Needs the lock, and lets go of it while waiting. */
static enum status wait_for_load(struct resident *resident, uint64_t deadline_ns,
                                 struct engine **out, struct error *err) {
    struct residents *residents = resident->residents;
    struct timespec until = clock_timespec(deadline_ns);
    struct resident_waiter self = {.next = resident->waiters, .error = ERROR_NONE};
    resident->waiters = &self;
    residents->waiting++;
    if (resident->state == REGISTRY_UNLOADED) start_load(resident);
    while (!self.done && clock_now_ns() < deadline_ns)
        pthread_cond_clockwait(&residents->changed, &residents->lock, CLOCK_MONOTONIC, &until);
    residents->waiting--;
    *out = self.engine;
    if (self.done) return self.engine ? STATUS_OK : error_pass(err, &self.error);
    struct resident_waiter **link = &resident->waiters;
    while (*link && *link != &self) link = &(*link)->next;
    *link = self.next;
    return error_set(err, STATUS_TIMEOUT, "the deadline passed while model \"%.64s\" was loaded",
                     resident->options.model.engine.name);
}

enum status resident_hold(struct resident *resident, uint64_t deadline_ns, struct engine **out,
                          struct error *err) {
    struct residents *residents = resident->residents;
    resident->used = ++residents->clock;
    if (resident->state == REGISTRY_LOADED) {
        resident->held++;
        *out = resident->engine;
        return STATUS_OK;
    }
    return wait_for_load(resident, deadline_ns, out, err);
}

void resident_release(struct resident *resident) {
    assert(resident->held);
    if (--resident->held == 0) pthread_cond_broadcast(&resident->residents->changed);
}

/* ---- the end ---- */

/* Needs the lock. */
static bool is_at_rest(const struct resident *resident) {
    bool settled = resident->state == REGISTRY_UNLOADED || resident->state == REGISTRY_LOADED;
    return settled && !resident->held && !resident->waiters;
}

static void destroy(struct resident *resident, const char *reason) {
    struct residents *residents = resident->residents;
    pthread_mutex_lock(&residents->lock);
    while (!is_at_rest(resident)) pthread_cond_wait(&residents->changed, &residents->lock);
    if (resident->engine) unload(resident, reason);
    struct resident **link = &residents->first;
    while (*link && *link != resident) link = &(*link)->next;
    *link = resident->next;
    pthread_mutex_unlock(&residents->lock);
    registry_copy_free(&resident->options);
    registry_copy_free(&resident->names);
    free(resident);
}

void resident_destroy(struct resident *resident) {
    destroy(resident, "no longer configured");
}

void residents_free(struct residents *residents) {
    pthread_mutex_lock(&residents->lock);
    while (residents->loading) pthread_cond_wait(&residents->changed, &residents->lock);
    pthread_mutex_unlock(&residents->lock);
    for (struct resident *r = residents->first, *next; r; r = next) {
        next = r->next;
        assert(r->held == 0);
        destroy(r, NULL);
    }
    pthread_cond_destroy(&residents->changed);
    pthread_mutex_destroy(&residents->lock);
}
