/* classify.h - zero-shot classification: labels and templates to class embeddings,
 * class embeddings and images to probabilities (SPEC 8.1).
 *
 * A class embedding is the normalised mean of the normalised embeddings of the
 * label in every template. They are cached, so that a label set seen before costs
 * nothing but a lookup. Safe from any thread.
 */
#ifndef CORE_CLASSIFY_CLASSIFY_H
#define CORE_CLASSIFY_CLASSIFY_H

#include "core/engine.h"

struct classifier;

struct classifier_stats {
    uint64_t hits, misses; /* labels looked up */
    uint64_t bytes;        /* held by the cache */
};

/* `cache_bytes_max` bounds the label cache; the least recently used go first. */
enum status classifier_create(struct classifier **out, size_t cache_bytes_max, struct error *err);
void classifier_destroy(struct classifier *classifier);
void classifier_read_stats(struct classifier *classifier, struct classifier_stats *out);

/* The template used when none is given: "a photo of a {}." */
extern const char classify_template_default[];

/* "{}" must occur exactly once in a template. */
enum status classify_check_template(struct bytes template, struct error *err);

/* The labels of one question and the templates they are put into. */
struct label_set {
    const struct bytes *labels;    /* [labels_count] */
    const struct bytes *templates; /* [templates_count]; none: classify_template_default */
    size_t labels_count, templates_count;
};

/* Class embeddings, [labels_count, embed_dim], into the caller's array. `truncated`,
 * [labels_count], tells which labels are, in one template at least, longer than the model's
 * context, and were cut. err->input is the label at fault. What was embedded when the
 * deadline passed is remembered: whoever asks again gets further. */
enum status classify_embed_labels(struct classifier *classifier, struct engine *engine,
                                  const struct label_set *set, float *embeddings, bool *truncated,
                                  struct engine_call *how, struct error *err);

struct classify_score {
    size_t label; /* index into the labels */
    float cosine;
    float probability; /* softmax over the labels, or sigmoid, of logit_scale * cosine + bias */
};

/* Scores one normalised image embedding against the class embeddings, best first
 * (ties in label order). `scores` is [labels_count]. */
void classify_score(struct engine *engine, const float *image_embedding,
                    const float *label_embeddings, size_t labels_count,
                    struct classify_score *scores);

#endif
