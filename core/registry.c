/* Names in front of residents.h. A short list: looking a name up costs nothing beside an
 * encoder pass, and models are few. */
#include "core/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/residents.h"

struct registry {
    struct runtime *runtime;
    struct residents residents;
    pthread_mutex_t configuring; /* one configuration at a time */
};

enum status registry_create(struct registry **out, const struct runtime_options *options,
                            struct error *err) {
    struct registry *registry = calloc(1, sizeof(*registry));
    if (!registry) return error_set(err, STATUS_NO_MEMORY, "out of memory for the models");
    enum status status = runtime_create(&registry->runtime, options, err);
    if (status) {
        free(registry);
        return status;
    }
    residents_init(&registry->residents, registry->runtime);
    pthread_mutex_init(&registry->configuring, NULL);
    *out = registry;
    return STATUS_OK;
}

void registry_destroy(struct registry *registry) {
    if (!registry) return;
    residents_free(&registry->residents);
    runtime_destroy(registry->runtime);
    pthread_mutex_destroy(&registry->configuring);
    free(registry);
}

struct runtime *registry_runtime(struct registry *registry) {
    return registry->runtime;
}

/* ---- names ---- */

static bool has_name(const struct resident *resident) {
    return resident->standing == RESIDENT_SERVING || resident->standing == RESIDENT_GOING;
}

/* Needs the lock. The default for NULL and "". */
static struct resident *find(const struct registry *registry, const char *name) {
    struct resident *first = NULL;
    bool any = !name || !*name;
    for (struct resident *r = registry->residents.first; r; r = r->next) {
        if (!has_name(r)) continue;
        if (any ? r->names.model.is_default : registry_model_is_called(&r->names.model, name))
            return r;
        if (!first) first = r;
    }
    return any ? first : NULL;
}

/* Needs the lock. "a, b, c" for error messages; cut off where it gets long. */
static void list_names(const struct registry *registry, char *text, size_t size) {
    size_t used = 0;
    text[0] = 0;
    for (const struct resident *r = registry->residents.first; r; r = r->next) {
        const struct registry_model *model = &r->names.model;
        for (size_t i = 0; i <= model->aliases_count && has_name(r); i++) {
            const char *name = i ? model->aliases[i - 1] : model->engine.name;
            int more = snprintf(text + used, size - used, "%s%s", used ? ", " : "", name);
            if (more < 0 || (size_t)more >= size - used) return;
            used += (size_t)more;
        }
    }
}

/* Needs the lock, and lets go of it while waiting. For a request: only so many may wait. */
static enum status acquire(struct resident *resident, uint64_t deadline_ns, struct engine **out,
                           struct error *err) {
    const struct residents *residents = resident->residents;
    uint32_t most = residents->waiting_max;
    if (resident->state != REGISTRY_LOADED && most && residents->waiting >= most) {
        return error_set(err, STATUS_OVERLOADED, "%u requests wait for models to be loaded",
                         residents->waiting);
    }
    return resident_hold(resident, deadline_ns, out, err);
}

enum status registry_acquire(struct registry *registry, const char *name, uint64_t deadline_ns,
                             struct engine **out, struct error *err) {
    enum status status;
    char names[200];
    *out = NULL;
    pthread_mutex_lock(&registry->residents.lock);
    struct resident *resident = find(registry, name);
    if (resident) {
        status = acquire(resident, deadline_ns, out, err);
    } else if (!name || !*name) {
        status = error_set(err, STATUS_UNAVAILABLE, "no model is loaded yet");
    } else {
        list_names(registry, names, sizeof(names));
        status = error_set(err, STATUS_NOT_FOUND, "no model is called \"%.64s\"; there is: %s",
                           name, names);
    }
    pthread_mutex_unlock(&registry->residents.lock);
    return status;
}

/* Needs the lock. The one of that name comes first, so that models of the same weights and
 * different arithmetic do not stand in for each other by chance. */
static struct resident *find_digest(const struct registry *registry, const char *digest,
                                    const char *name) {
    struct resident *named = *name ? find(registry, name) : NULL;
    if (named && (!named->digest[0] || !strcmp(named->digest, digest))) return named;
    for (struct resident *r = registry->residents.first; r; r = r->next) {
        if (has_name(r) && !strcmp(r->digest, digest)) return r;
    }
    return NULL;
}

enum status registry_acquire_digest(struct registry *registry, const char *digest, const char *name,
                                    uint64_t deadline_ns, struct engine **out, struct error *err) {
    enum status status = STATUS_OK;
    *out = NULL;
    pthread_mutex_lock(&registry->residents.lock);
    struct resident *resident;
    while (!status && !*out && (resident = find_digest(registry, digest, name))) {
        status = acquire(resident, deadline_ns, out, err);
        if (status || !strcmp(engine_info(*out)->sha256, digest)) continue;
        resident_release(resident); /* its digest is known now */
        *out = NULL;
    }
    pthread_mutex_unlock(&registry->residents.lock);
    if (status || *out) return status;
    return error_set(err, STATUS_NOT_FOUND, "no model has the digest %.12s...", digest);
}

void registry_release(struct registry *registry, struct engine *engine) {
    if (!engine) return;
    pthread_mutex_lock(&registry->residents.lock);
    struct resident *resident = registry->residents.first;
    while (resident->engine != engine) resident = resident->next;
    resident_release(resident);
    pthread_mutex_unlock(&registry->residents.lock);
}

bool registry_is_loading(struct registry *registry) {
    bool loading = false;
    if (!registry) return false;
    pthread_mutex_lock(&registry->residents.lock);
    for (const struct resident *r = registry->residents.first; r; r = r->next)
        loading |= r->state == REGISTRY_LOADING;
    pthread_mutex_unlock(&registry->residents.lock);
    return loading;
}

const char *registry_state_name(enum registry_state state) {
    static const char *const names[] = {
        [REGISTRY_UNLOADED] = "unloaded",
        [REGISTRY_LOADING] = "loading",
        [REGISTRY_LOADED] = "loaded",
        [REGISTRY_UNLOADING] = "unloading",
    };
    return names[state];
}

/* ---- configuring ---- */

/* One change of configuration: for each model of the setup the resident that it becomes. */
struct change {
    struct registry *registry;
    const struct registry_setup *setup;
    struct resident **residents; /* [models_count]; NULL: none yet */
    struct registry_copy *names; /* [models_count], for those that stay */
    size_t old_memory_max;
};

static bool is_new(const struct change *change, size_t index) {
    return change->residents[index] && change->residents[index]->standing == RESIDENT_COMING;
}

/* Finds those that may stay. Nobody else changes the list meanwhile. */
static enum status keep_unchanged(struct change *change, struct error *err) {
    for (size_t i = 0; i < change->setup->models_count; i++) {
        const struct registry_model *model = &change->setup->models[i];
        enum status status = registry_copy_init(&change->names[i], model, err);
        if (status) return status;
        for (struct resident *r = change->registry->residents.first; r; r = r->next) {
            if (!registry_model_same_engine(&r->options.model, model)) continue;
            if (resident_is_current(r)) change->residents[i] = r;
        }
    }
    return STATUS_OK;
}

/* Those that do not stay are going; or, after a failure, all stay. */
static void mark(struct change *change, bool failed) {
    struct residents *residents = &change->registry->residents;
    pthread_mutex_lock(&residents->lock);
    for (struct resident *r = residents->first; r; r = r->next) {
        bool stays = failed;
        r->load = r->names.model.load;
        for (size_t i = 0; i < change->setup->models_count && !failed; i++) {
            if (change->residents[i] != r) continue;
            stays = true;
            r->load = change->setup->models[i].load;
        }
        if (r->standing != RESIDENT_COMING) r->standing = stays ? RESIDENT_SERVING : RESIDENT_GOING;
    }
    residents->memory_max = failed ? change->old_memory_max : change->setup->memory_max;
    pthread_cond_broadcast(&residents->changed);
    pthread_mutex_unlock(&residents->lock);
}

static bool is_unloaded(struct residents *residents, const struct resident *resident) {
    pthread_mutex_lock(&residents->lock);
    bool unloaded = resident->state == REGISTRY_UNLOADED;
    pthread_mutex_unlock(&residents->lock);
    return unloaded;
}

/* Loads what is to be loaded now. */
static enum status load_eager(struct change *change, struct error *err) {
    struct residents *residents = &change->registry->residents;
    for (size_t i = 0; i < change->setup->models_count; i++) {
        const struct registry_model *model = &change->setup->models[i];
        struct resident **resident = &change->residents[i];
        struct error failure = ERROR_NONE;
        struct engine *engine;
        enum status status = STATUS_OK;
        if (!*resident) status = resident_create(resident, residents, model, err);
        if (status) return status;
        if (model->load == REGISTRY_LAZY) continue;
        if (is_new(change, i) && is_unloaded(residents, *resident)) {
            status = resident_load(*resident, &failure);
        } else {
            pthread_mutex_lock(&residents->lock);
            status = resident_hold(*resident, UINT64_MAX, &engine, &failure);
            if (!status) resident_release(*resident);
            pthread_mutex_unlock(&residents->lock);
        }
        if (status) return error_set(err, status, "%s: %s", model->engine.path, failure.message);
    }
    return STATUS_OK;
}

/* From here on requests find what is new. What is gone stands at the end of the list. */
static void swap(struct change *change) {
    struct residents *residents = &change->registry->residents;
    size_t count = change->setup->models_count;
    pthread_mutex_lock(&residents->lock);
    struct resident *gone = NULL, **link = &residents->first;
    for (struct resident *r = residents->first, *next; r; r = next) {
        next = r->next;
        if (r->standing != RESIDENT_GOING) continue;
        r->standing = RESIDENT_GONE;
        r->next = gone;
        gone = r;
    }
    for (size_t i = 0; i < count; i++) {
        struct resident *r = change->residents[i];
        struct registry_copy old = r->names;
        r->names = change->names[i];
        change->names[i] = old;
        r->standing = RESIDENT_SERVING;
        *link = r;
        link = &r->next;
    }
    *link = gone;
    residents->waiting_max = change->setup->waiting_max;
    pthread_cond_broadcast(&residents->changed);
    pthread_mutex_unlock(&residents->lock);
}

/* Frees whom nobody finds any more: what is gone, or what has come in vain. */
static void free_rest(struct change *change) {
    struct residents *residents = &change->registry->residents;
    for (struct resident *r = residents->first, *next; r; r = next) {
        next = r->next;
        if (r->standing == RESIDENT_GONE || r->standing == RESIDENT_COMING) resident_destroy(r);
    }
    residents_trim(residents);
}

static enum status configure(struct change *change, struct error *err) {
    enum status status = keep_unchanged(change, err);
    if (status) return status;
    mark(change, false);
    status = load_eager(change, err);
    if (status)
        mark(change, true);
    else
        swap(change);
    free_rest(change);
    return status;
}

enum status registry_configure(struct registry *registry, const struct registry_setup *setup,
                               struct error *err) {
    size_t count = setup->models_count;
    enum status status = registry_model_check_names(setup->models, count, err);
    if (status) return status;
    struct change change = {.registry = registry, .setup = setup};
    change.residents = calloc(count + 1, sizeof(struct resident *));
    change.names = calloc(count + 1, sizeof(*change.names));
    if (change.residents && change.names) {
        pthread_mutex_lock(&registry->configuring);
        change.old_memory_max = registry->residents.memory_max;
        status = configure(&change, err);
        pthread_mutex_unlock(&registry->configuring);
        for (size_t i = 0; i < count; i++) registry_copy_free(&change.names[i]);
    } else {
        status = error_set(err, STATUS_NO_MEMORY, "out of memory for the models");
    }
    free(change.names);
    free(change.residents);
    return status;
}

/* ---- visiting ---- */

/* Needs the lock. */
static void look(struct registry_view *view, struct resident *resident, bool is_default) {
    *view = (struct registry_view){
        .name = resident->options.model.engine.name,
        .is_default = is_default,
        .load = resident->names.model.load,
        .state = resident->state,
        .engine = resident->engine,
        .bytes = resident->bytes,
        .loads = resident->loads,
        .failures = resident->failures,
        .evictions = resident->evictions,
        .load_ns = &resident->load_ns,
    };
    snprintf(view->failure, sizeof(view->failure), "%s", resident->failure.message);
    resident->held++;
}

/* One visit: what was seen, and of whom. */
struct visit {
    struct registry_view view;
    struct registry_copy names; /* a new configuration may bring others meanwhile */
    struct resident *resident;
};

/* Needs the lock. Holds every model, so that none is freed, and lists it, the default first. */
static struct visit *look_at_all(const struct registry *registry, size_t *count) {
    const struct resident *fallback = find(registry, NULL);
    size_t most = 0;
    for (struct resident *r = registry->residents.first; r; r = r->next) most++;
    struct visit *visits = calloc(most + 1, sizeof(*visits));
    *count = 0;
    for (int round = 0; round < 2 && visits; round++) {
        for (struct resident *r = registry->residents.first; r; r = r->next) {
            if (!has_name(r) || (r == fallback) != (round == 0)) continue;
            struct visit *visit = &visits[(*count)++];
            visit->resident = r;
            look(&visit->view, r, round == 0);
            if (registry_copy_init(&visit->names, &r->names.model, NULL)) continue;
            visit->view.aliases = visit->names.model.aliases;
            visit->view.aliases_count = visit->names.model.aliases_count;
        }
    }
    return visits;
}

void registry_each(struct registry *registry, registry_visit_fn *visit, void *context) {
    struct residents *residents = &registry->residents;
    size_t count;
    pthread_mutex_lock(&residents->lock);
    struct visit *visits = look_at_all(registry, &count);
    pthread_mutex_unlock(&residents->lock);
    for (size_t i = 0; i < count; i++) visit(context, &visits[i].view);
    pthread_mutex_lock(&residents->lock);
    for (size_t i = 0; i < count; i++) resident_release(visits[i].resident);
    pthread_mutex_unlock(&residents->lock);
    for (size_t i = 0; i < count; i++) registry_copy_free(&visits[i].names);
    free(visits);
}

bool registry_view_is_called(const struct registry_view *view, const char *name) {
    bool called = !strcmp(view->name, name);
    for (size_t i = 0; i < view->aliases_count && !called; i++) {
        called = !strcmp(view->aliases[i], name);
    }
    return called;
}
