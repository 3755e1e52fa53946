/* registry.h - the models of one process, by name.
 *
 * What there is to be is told by registry_configure(), at the start and again whenever it
 * changes: it loads what is new, swaps, and frees what is gone when the last request
 * has given it back. A model is loaded then (eager) and stays, or with the first request for
 * it (lazy), on a thread of its own, while requests for others go on; those that wait
 * for it share the load, and its failure, and the next one tries again. Lazy models are
 * taken out of memory when another needs the room: the least recently used first, and
 * none before its last request is done.
 *
 * A caller holds the engine it got until it gives it back. Everything here may be called
 * from any thread. */
#ifndef CORE_REGISTRY_H
#define CORE_REGISTRY_H

#include "core/base/histogram.h"
#include "core/engine.h"

struct registry;

enum registry_load { REGISTRY_EAGER, REGISTRY_LAZY };

struct registry_model {
    struct engine_options engine;
    const char **aliases; /* [aliases_count]: further names, such as a size */
    size_t aliases_count;
    bool is_default; /* answers when no model is named; of several the first, as without any */
    enum registry_load load;
};

struct registry_setup {
    const struct registry_model *models; /* [models_count], copied */
    size_t models_count;
    size_t memory_max;    /* bytes of all models together; 0: no bound */
    uint32_t waiting_max; /* requests that wait for a load, more are refused; 0: any number */
};

enum status registry_create(struct registry **out, const struct runtime_options *options,
                            struct error *err);
/* Waits for loads that are under way and closes all engines, of which none may be held. NULL is
 * allowed. */
void registry_destroy(struct registry *registry);
struct runtime *registry_runtime(struct registry *registry);

/* Puts `setup` in the place of what there was. A model stays as it is, with its numbers, when
 * its options and its files are the same. On failure nothing has changed, and the message
 * begins with the path of the model that could not be loaded; STATUS_CONFLICT when a name is
 * there twice. A model that replaces another may be in memory beside it for a
 * while, above memory_max. Returns when all that was replaced has been freed. */
enum status registry_configure(struct registry *registry, const struct registry_setup *setup,
                               struct error *err);

/* The model of that name or alias; the default for NULL and "". Loads it if need be, and waits
 * for that until `deadline_ns` (STATUS_TIMEOUT; the load goes on). STATUS_NOT_FOUND names what
 * there is; STATUS_UNPROCESSABLE when the model cannot be used, STATUS_UNAVAILABLE when it
 * could not be loaded now. Give it back with registry_release(). */
enum status registry_acquire(struct registry *registry, const char *name, uint64_t deadline_ns,
                             struct engine **out, struct error *err);
/* The model with that digest: the one called `name` if it has it, else whichever. A model that
 * has never been loaded is tried under its name only. STATUS_NOT_FOUND when there is none. */
enum status registry_acquire_digest(struct registry *registry, const char *digest, const char *name,
                                    uint64_t deadline_ns, struct engine **out, struct error *err);
void registry_release(struct registry *registry, struct engine *engine);

/* Whether a model is being loaded now; of NULL none is. */
bool registry_is_loading(struct registry *registry);

enum registry_state {
    REGISTRY_UNLOADED,
    REGISTRY_LOADING,
    REGISTRY_LOADED,
    REGISTRY_UNLOADING, /* making room: waits for its last request, or is being freed */
};
/* "unloaded", "loading", "loaded", "unloading". */
const char *registry_state_name(enum registry_state state);

/* What is to be known of a model from outside, at one moment: the time of a visit. */
struct registry_view {
    const char *name;
    const char *const *aliases; /* [aliases_count] */
    size_t aliases_count;
    bool is_default;
    enum registry_load load;
    enum registry_state state;
    struct engine *engine; /* NULL unless loaded */
    size_t bytes;          /* that it takes, or will take, in memory; 0: unloaded */
    uint64_t loads, failures, evictions;
    const struct histogram *load_ns;                    /* of those that succeeded */
    char failure[sizeof(((struct error *)0)->message)]; /* of the last load; "": none */
};

/* Calls `visit` for each model, the default first. Waits for nothing. */
typedef void registry_visit_fn(void *context, const struct registry_view *view);
void registry_each(struct registry *registry, registry_visit_fn *visit, void *context);
/* Whether that is its name, or one of its aliases. */
bool registry_view_is_called(const struct registry_view *view, const char *name);

#endif
