/* Family by family, because the text format wants all samples of a name together. */
#include "api/model_metrics.h"

#include "core/base/histogram.h"
#include "core/batch/batcher.h"

/* What is measured at every tower of every model. */
struct tower_family {
    const char *name, *type, *help;
    double scale;
    const struct histogram *(*histogram)(const struct batch_queue_stats *stats); /* NULL: depth */
};

static const struct histogram *wait_of(const struct batch_queue_stats *stats) {
    return &stats->wait_ns;
}

static const struct histogram *run_of(const struct batch_queue_stats *stats) {
    return &stats->run_ns;
}

static const struct histogram *size_of(const struct batch_queue_stats *stats) {
    return &stats->batch_size;
}

static const struct tower_family tower_families[] = {
    {"clipd_queue_wait_seconds", "histogram", "Time an input waited for an encoder.", 1e-9,
     wait_of},
    {"clipd_encode_seconds", "histogram", "Time a batch took in the tower.", 1e-9, run_of},
    {"clipd_batch_size", "histogram", "Inputs in a batch.", 1, size_of},
    {"clipd_queue_depth", "gauge", "Inputs waiting for an encoder now.", 1, NULL},
};

struct visit {
    struct exposition *out;
    const struct tower_family *family;
};

static void put_tower(const struct visit *visit, const char *model, const char *tower,
                      const struct batch_queue_stats *stats) {
    const struct tower_family *family = visit->family;
    struct exposition_labels labels = {{{"model", model}, {"tower", tower}}};
    if (!stats) return;
    if (family->histogram) {
        exposition_histogram(visit->out, family->name, &labels, family->histogram(stats),
                             family->scale);
        return;
    }
    uint64_t waiting = atomic_load_explicit(&stats->waiting, memory_order_relaxed);
    exposition_sample(visit->out, family->name, &labels, (double)waiting);
}

static void visit_towers(void *context, const struct registry_view *view) {
    struct engine_stats stats;
    if (!view->engine) return;
    engine_read_stats(view->engine, &stats);
    put_tower(context, view->name, "vision", stats.images);
    put_tower(context, view->name, "text", stats.texts);
    put_tower(context, view->name, "states", stats.states);
}

static void visit_decode(void *context, const struct registry_view *view) {
    struct engine_stats stats;
    struct exposition_labels labels = {{{"model", view->name}}};
    if (!view->engine) return;
    engine_read_stats(view->engine, &stats);
    exposition_histogram(context, "clipd_decode_seconds", &labels, stats.decode_ns, 1e-9);
}

static void visit_info(void *context, const struct registry_view *view) {
    if (!view->engine) return;
    const struct engine_info *info = engine_info(view->engine);
    struct exposition_labels labels = {
        {{"model", info->name}, {"sha256", info->sha256}, {"precision", info->precision}}};
    exposition_sample(context, "clipd_model_info", &labels, 1);
}

/* What is counted of every model, loaded or not. */
struct life_family {
    const char *name, *type, *help;
    double (*value)(const struct registry_view *view);
};

static double is_loaded(const struct registry_view *view) {
    return view->state == REGISTRY_LOADED;
}

static double bytes_of_model(const struct registry_view *view) {
    return (double)view->bytes;
}

static double loads_of(const struct registry_view *view) {
    return (double)view->loads;
}

static double failures_of(const struct registry_view *view) {
    return (double)view->failures;
}

static double evictions_of(const struct registry_view *view) {
    return (double)view->evictions;
}

static const struct life_family life_families[] = {
    {"clipd_model_loaded", "gauge", "1 for a model that is in memory and answers.", is_loaded},
    {"clipd_model_resident_bytes", "gauge", "Memory of a model in full use.", bytes_of_model},
    {"clipd_model_loads_total", "counter", "Times that a model was loaded.", loads_of},
    {"clipd_model_load_failures_total", "counter", "Times that a model could not be loaded.",
     failures_of},
    {"clipd_model_evictions_total", "counter", "Times that a model was freed for others.",
     evictions_of},
};

struct life_visit {
    struct exposition *out;
    const struct life_family *family;
};

static void visit_life(void *context, const struct registry_view *view) {
    const struct life_visit *visit = context;
    struct exposition_labels labels = {{{"model", view->name}}};
    exposition_sample(visit->out, visit->family->name, &labels, visit->family->value(view));
}

static void visit_load(void *context, const struct registry_view *view) {
    struct exposition_labels labels = {{{"model", view->name}}};
    exposition_histogram(context, "clipd_model_load_seconds", &labels, view->load_ns, 1e-9);
}

static void put_lives(struct exposition *out, struct registry *registry) {
    for (size_t i = 0; i < sizeof(life_families) / sizeof(life_families[0]); i++) {
        const struct life_family *family = &life_families[i];
        struct life_visit visit = {.out = out, .family = family};
        exposition_family(out, family->name, family->type, family->help);
        registry_each(registry, visit_life, &visit);
    }
    exposition_family(out, "clipd_model_load_seconds", "histogram",
                      "Time to load a model, and to make room for it.");
    registry_each(registry, visit_load, out);
}

void model_metrics_put(struct exposition *out, struct registry *registry) {
    for (size_t i = 0; i < sizeof(tower_families) / sizeof(tower_families[0]); i++) {
        const struct tower_family *family = &tower_families[i];
        struct visit visit = {.out = out, .family = family};
        exposition_family(out, family->name, family->type, family->help);
        registry_each(registry, visit_towers, &visit);
    }
    exposition_family(out, "clipd_decode_seconds", "histogram",
                      "Time to decode and resize an image.");
    registry_each(registry, visit_decode, out);
    exposition_family(out, "clipd_model_info", "gauge", "The models that are loaded.");
    registry_each(registry, visit_info, out);
    put_lives(out, registry);
}
