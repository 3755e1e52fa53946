/* A short list behind a lock: looking a name up costs nothing beside an encoder
 * pass, and models are few. */
#include "core/registry.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    char *name;            /* a model's own name, or an alias */
    struct engine *engine; /* shared by the aliases of a model */
    bool is_alias;
    struct entry *next;
};

struct registry {
    struct runtime *runtime;
    pthread_mutex_t lock;    /* protects everything below */
    struct entry *entries;   /* in the order in which they were added */
    struct engine *fallback; /* answers requests that name no model */
    bool has_default;        /* `fallback` was chosen, not merely first */
    size_t held;             /* acquired and not yet released */
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
    pthread_mutex_init(&registry->lock, NULL);
    *out = registry;
    return STATUS_OK;
}

void registry_destroy(struct registry *registry) {
    if (!registry) return;
    assert(registry->held == 0);
    while (registry->entries) {
        struct entry *entry = registry->entries;
        registry->entries = entry->next;
        if (!entry->is_alias) engine_close(entry->engine);
        free(entry->name);
        free(entry);
    }
    runtime_destroy(registry->runtime);
    pthread_mutex_destroy(&registry->lock);
    free(registry);
}

struct runtime *registry_runtime(struct registry *registry) {
    return registry->runtime;
}

/* Needs the lock. */
static struct entry *find(const struct registry *registry, const char *name) {
    for (struct entry *entry = registry->entries; entry; entry = entry->next) {
        if (!strcmp(entry->name, name)) return entry;
    }
    return NULL;
}

/* Needs the lock. Takes nothing over on failure. */
static enum status append(struct registry *registry, const char *name, struct engine *engine,
                          bool is_alias, struct error *err) {
    if (find(registry, name)) {
        return error_set(err, STATUS_CONFLICT, "two models are called \"%s\"", name);
    }
    struct entry *entry = calloc(1, sizeof(*entry));
    char *copy = strdup(name);
    if (!entry || !copy) {
        free(entry);
        free(copy);
        return error_set(err, STATUS_NO_MEMORY, "out of memory for a model's name");
    }
    *entry = (struct entry){.name = copy, .engine = engine, .is_alias = is_alias};
    struct entry **link = &registry->entries;
    while (*link) link = &(*link)->next;
    *link = entry;
    return STATUS_OK;
}

enum status registry_add(struct registry *registry, const struct engine_options *options,
                         bool is_default, struct error *err) {
    struct engine *engine;
    enum status status = engine_open(&engine, registry->runtime, options, err);
    if (status) return status;
    pthread_mutex_lock(&registry->lock);
    status = append(registry, options->name, engine, false, err);
    if (!status && (!registry->fallback || (is_default && !registry->has_default))) {
        registry->fallback = engine;
        registry->has_default = is_default;
    }
    pthread_mutex_unlock(&registry->lock);
    if (status) engine_close(engine);
    return status;
}

enum status registry_alias(struct registry *registry, const char *alias, const char *name,
                           struct error *err) {
    enum status status;
    pthread_mutex_lock(&registry->lock);
    struct entry *entry = find(registry, name);
    if (!entry)
        status = error_set(err, STATUS_NOT_FOUND, "no model is called \"%s\"", name);
    else
        status = append(registry, alias, entry->engine, true, err);
    pthread_mutex_unlock(&registry->lock);
    return status;
}

/* Needs the lock. "a, b, c" for error messages; cut off where it gets long. */
static void list_names(const struct registry *registry, char *text, size_t size) {
    size_t used = 0;
    text[0] = 0;
    for (const struct entry *entry = registry->entries; entry; entry = entry->next) {
        int more = snprintf(text + used, size - used, "%s%s", used ? ", " : "", entry->name);
        if (more < 0 || (size_t)more >= size - used) break;
        used += (size_t)more;
    }
}

enum status registry_acquire(struct registry *registry, const char *name, struct engine **out,
                             struct error *err) {
    enum status status = STATUS_OK;
    pthread_mutex_lock(&registry->lock);
    struct engine *engine = NULL;
    if (!name || !*name) {
        engine = registry->fallback;
        if (!engine) status = error_set(err, STATUS_UNAVAILABLE, "no model is loaded yet");
    } else {
        struct entry *entry = find(registry, name);
        char names[200];
        if (entry) {
            engine = entry->engine;
        } else {
            list_names(registry, names, sizeof(names));
            status = error_set(err, STATUS_NOT_FOUND, "no model is called \"%.64s\"; there is: %s",
                               name, names);
        }
    }
    if (engine) registry->held++;
    pthread_mutex_unlock(&registry->lock);
    *out = engine;
    return status;
}

void registry_release(struct registry *registry, struct engine *engine) {
    if (!engine) return;
    pthread_mutex_lock(&registry->lock);
    registry->held--;
    pthread_mutex_unlock(&registry->lock);
}

/* Needs the lock. Holds every model and lists it, the default first. */
static struct engine **hold_all(struct registry *registry, size_t *count) {
    size_t entries = 0;
    for (struct entry *entry = registry->entries; entry; entry = entry->next) entries++;
    struct engine **engines = calloc(entries + 1, sizeof(struct engine *));
    *count = 0;
    if (!engines) return NULL;
    if (registry->fallback) engines[(*count)++] = registry->fallback;
    for (struct entry *entry = registry->entries; entry; entry = entry->next) {
        if (entry->is_alias || entry->engine == registry->fallback) continue;
        engines[(*count)++] = entry->engine;
    }
    registry->held += *count;
    return engines;
}

void registry_each(struct registry *registry, registry_visit_fn *visit, void *context) {
    size_t count;
    pthread_mutex_lock(&registry->lock);
    struct engine **engines = hold_all(registry, &count);
    pthread_mutex_unlock(&registry->lock);
    for (size_t i = 0; i < count; i++) {
        visit(context, engines[i], i == 0);
        registry_release(registry, engines[i]);
    }
    free(engines);
}
