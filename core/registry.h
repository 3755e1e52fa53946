/* registry.h - the models of one process, by name.
 *
 * Models are added while the program starts; afterwards the registry is read
 * from many threads. A caller holds the engine it got until it gives it back, so
 * that a model can be replaced under load. */
#ifndef CORE_REGISTRY_H
#define CORE_REGISTRY_H

#include "core/engine.h"

struct registry;

enum status registry_create(struct registry **out, const struct runtime_options *options,
                            struct error *err);
/* Closes all engines. No engine may be held. NULL is allowed. */
void registry_destroy(struct registry *registry);
struct runtime *registry_runtime(struct registry *registry);

/* Opens a model and adds it; the first one is the default unless `is_default` is
 * given to another. STATUS_CONFLICT when the name is taken. */
enum status registry_add(struct registry *registry, const struct engine_options *options,
                         bool is_default, struct error *err);

/* A second name for a model, such as a size: "small". STATUS_CONFLICT when taken. */
enum status registry_alias(struct registry *registry, const char *alias, const char *name,
                           struct error *err);

/* The model of that name or alias; the default for NULL and "". STATUS_NOT_FOUND names what
 * there is. Give it back with registry_release(). */
enum status registry_acquire(struct registry *registry, const char *name, struct engine **out,
                             struct error *err);
void registry_release(struct registry *registry, struct engine *engine);

/* Calls `visit` for each model, the default first. */
typedef void registry_visit_fn(void *context, struct engine *engine, bool is_default);
void registry_each(struct registry *registry, registry_visit_fn *visit, void *context);

#endif
