/* https://prometheus.io/docs/instrumenting/exposition_formats/ */
#include "api/exposition.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void put(struct exposition *out, const char *text, size_t size) {
    if (out->error.status) return;
    buffer_append(out->out, text, size, &out->error);
}

static void put_text(struct exposition *out, const char *text) {
    put(out, text, strlen(text));
}

static void put_number(struct exposition *out, double number) {
    char text[32];
    if (isinf(number))
        snprintf(text, sizeof(text), "+Inf");
    else
        snprintf(text, sizeof(text), "%.15g", number);
    put_text(out, text);
}

static void put_label_value(struct exposition *out, const char *value) {
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            put(out, (const char[]){'\\', *value}, 2);
        else if (*value == '\n')
            put_text(out, "\\n");
        else
            put(out, value, 1);
    }
}

static void put_labels(struct exposition *out, const struct exposition_label *labels,
                       size_t count) {
    const char *before = "{";
    for (size_t i = 0; i < count; i++) {
        if (!labels[i].name) continue;
        put_text(out, before);
        put_text(out, labels[i].name);
        put_text(out, "=\"");
        put_label_value(out, labels[i].value);
        put_text(out, "\"");
        before = ",";
    }
    if (*before == ',') put_text(out, "}");
}

void exposition_family(struct exposition *out, const char *name, const char *type,
                       const char *help) {
    put_text(out, "# HELP ");
    put_text(out, name);
    put_text(out, " ");
    put_text(out, help);
    put_text(out, "\n# TYPE ");
    put_text(out, name);
    put_text(out, " ");
    put_text(out, type);
    put_text(out, "\n");
}

static void put_sample(struct exposition *out, const char *name, const char *suffix,
                       const struct exposition_label *labels, size_t count, double value) {
    put_text(out, name);
    put_text(out, suffix);
    put_labels(out, labels, count);
    put_text(out, " ");
    put_number(out, value);
    put_text(out, "\n");
}

void exposition_sample(struct exposition *out, const char *name,
                       const struct exposition_labels *labels, double value) {
    static const struct exposition_labels none;
    put_sample(out, name, "", (labels ? labels : &none)->items, EXPOSITION_LABELS_MAX, value);
}

void exposition_histogram(struct exposition *out, const char *name,
                          const struct exposition_labels *labels, const struct histogram *histogram,
                          double scale) {
    const struct histogram_bounds *bounds = histogram->bounds;
    struct exposition_label all[EXPOSITION_LABELS_MAX + 1];
    memcpy(all, labels->items, sizeof(labels->items));
    uint64_t count = 0;
    for (size_t i = 0; i <= bounds->count; i++) {
        char upper[32] = "+Inf";
        if (i < bounds->count) {
            snprintf(upper, sizeof(upper), "%.12g", (double)bounds->upper[i] * scale);
        }
        all[EXPOSITION_LABELS_MAX] = (struct exposition_label){"le", upper};
        count += atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);
        put_sample(out, name, "_bucket", all, EXPOSITION_LABELS_MAX + 1, (double)count);
    }
    uint64_t sum = atomic_load_explicit(&histogram->sum, memory_order_relaxed);
    put_sample(out, name, "_sum", all, EXPOSITION_LABELS_MAX, (double)sum * scale);
    /* The sum of the buckets just read, so that the two never disagree. */
    put_sample(out, name, "_count", all, EXPOSITION_LABELS_MAX, (double)count);
}
