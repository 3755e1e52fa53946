/* exposition.h - writes Prometheus' text format, version 0.0.4. */
#ifndef API_EXPOSITION_H
#define API_EXPOSITION_H

#include "core/base/bytes.h"
#include "core/base/histogram.h"

/* After the first failure nothing more is written. */
struct exposition {
    struct buffer *out; /* borrowed */
    struct error error;
};

/* Values may hold anything. */
struct exposition_label {
    const char *name, *value;
};
enum { EXPOSITION_LABELS_MAX = 4 };

/* The labels of a sample, those with a NULL name left out. */
struct exposition_labels {
    struct exposition_label items[EXPOSITION_LABELS_MAX];
};

/* Starts a family: the samples that follow must be its own. `type` is "counter",
 * "gauge" or "histogram". */
void exposition_family(struct exposition *out, const char *name, const char *type,
                       const char *help);
void exposition_sample(struct exposition *out, const char *name,
                       const struct exposition_labels *labels, double value);
/* `scale` turns the histogram's unit into that of the name. */
void exposition_histogram(struct exposition *out, const char *name,
                          const struct exposition_labels *labels, const struct histogram *histogram,
                          double scale);

#endif
