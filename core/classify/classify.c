#include "core/classify/classify.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/classify/label_cache.h"

enum {
    PROMPTS_AT_ONCE = 256,      /* texts handed to the engine in one call */
    PROMPTS_SIZE_MAX = 8 << 20, /* bytes of such a call's texts */
};

const char classify_template_default[] = "a photo of a {}.";

struct classifier {
    struct label_cache *cache;
};

/* One classify_embed_labels() on its way. */
struct job {
    struct classifier *classifier;
    struct engine *engine;
    struct label_set set; /* templates_count is at least 1 */
    size_t dim;
    uint8_t *keys;   /* [labels_count, SHA256_SIZE] */
    size_t *missing; /* [missing_count]: indexes of labels that the cache did not have */
    size_t missing_count;
    size_t finished;   /* of the missing: these are embedded */
    double *sums;      /* [missing_count, dim] */
    float *prompts;    /* [PROMPTS_AT_ONCE, dim]: embeddings of one call to the engine */
    float *embeddings; /* [labels_count, dim], the caller's */
    bool *truncated;   /* [labels_count], the caller's */
};

enum status classifier_create(struct classifier **out, size_t cache_bytes_max, struct error *err) {
    struct classifier *classifier = calloc(1, sizeof(*classifier));
    if (!classifier) return error_set(err, STATUS_NO_MEMORY, "out of memory for the classifier");
    enum status status = label_cache_create(&classifier->cache, cache_bytes_max, err);
    if (status)
        free(classifier);
    else
        *out = classifier;
    return status;
}

void classifier_destroy(struct classifier *classifier) {
    if (!classifier) return;
    label_cache_destroy(classifier->cache);
    free(classifier);
}

void classifier_read_stats(struct classifier *classifier, struct classifier_stats *out) {
    label_cache_read_stats(classifier->cache, out);
}

static const uint8_t *find_slot(struct bytes text) {
    return text.size ? memmem(text.data, text.size, "{}", 2) : NULL;
}

enum status classify_check_template(struct bytes template, struct error *err) {
    const uint8_t *slot = find_slot(template);
    if (!slot) {
        return error_set(err, STATUS_INVALID, "a template needs {} where the label goes");
    }
    size_t behind = (size_t)(slot - template.data) + 2;
    struct bytes rest = {.data = slot + 2, .size = template.size - behind};
    if (!find_slot(rest)) return STATUS_OK;
    return error_set(err, STATUS_INVALID, "a template has {} twice, once is expected");
}

/* Everything the class embedding depends on, unambiguously: each part behind its
 * length. `prefix` holds the part that the labels share and is left as it was. */
static enum status key_of(uint8_t key[SHA256_SIZE], struct buffer *prefix, struct bytes label,
                          struct error *err) {
    size_t shared = prefix->size;
    enum status status = buffer_append(prefix, label.data, label.size, err);
    if (!status) sha256(key, buffer_view(prefix));
    prefix->size = shared;
    return status;
}

static enum status key_prefix(struct buffer *out, const struct engine_info *info,
                              const struct label_set *set, struct error *err) {
    enum status status = buffer_printf(out, err, "%s %zu", info->identity, set->templates_count);
    for (size_t i = 0; i < set->templates_count && !status; i++) {
        const struct bytes *template = &set->templates[i];
        status = buffer_printf(out, err, " %zu:", template->size);
        if (!status) status = buffer_append(out, template->data, template->size, err);
    }
    return status ? status : buffer_append(out, " ", 1, err);
}

static enum status append_prompt(struct buffer *out, struct bytes template, struct bytes label,
                                 struct error *err) {
    size_t before = (size_t)(find_slot(template) - template.data);
    enum status status = buffer_append(out, template.data, before, err);
    if (!status) status = buffer_append(out, label.data, label.size, err);
    if (status) return status;
    return buffer_append(out, template.data + before + 2, template.size - before - 2, err);
}

/* Writes prompts first..first+count-1 of the missing labels x templates, in that
 * order, to `text`; the views point into it. */
static enum status make_prompts(const struct job *job, size_t first, size_t count,
                                struct buffer *text, struct bytes *prompts, struct error *err) {
    const struct label_set *set = &job->set;
    size_t ends[PROMPTS_AT_ONCE];
    for (size_t i = 0; i < count; i++) {
        size_t pair = first + i, label = job->missing[pair / set->templates_count];
        enum status status = append_prompt(text, set->templates[pair % set->templates_count],
                                           set->labels[label], err);
        if (status) return status;
        ends[i] = text->size;
    }
    /* The buffer moves while it grows: the views are made when it is complete. */
    for (size_t i = 0, start = 0; i < count; start = ends[i++]) {
        prompts[i] = (struct bytes){.data = text->data + start, .size = ends[i] - start};
    }
    return STATUS_OK;
}

/* Embeds these prompts and adds them to their labels' sums, how->done of them when that fails. */
static enum status add_prompts(const struct job *job, size_t first, size_t count,
                               struct engine_call *how, struct error *err) {
    struct buffer text;
    struct bytes prompts[PROMPTS_AT_ONCE];
    size_t templates = job->set.templates_count;
    buffer_init(&text, PROMPTS_SIZE_MAX);
    how->done = 0;
    enum status status = make_prompts(job, first, count, &text, prompts, err);
    if (!status) {
        status = engine_embed_texts(job->engine, prompts, count, job->prompts, how, err);
        if (status && err && err->input >= 0) {
            err->input = (int)job->missing[(first + (size_t)err->input) / templates];
        }
    }
    buffer_free(&text);
    for (size_t i = 0; i < how->done; i++) {
        size_t missing = (first + i) / templates;
        double *sum = job->sums + missing * job->dim;
        if (how->texts[i].truncated) job->truncated[job->missing[missing]] = true;
        for (size_t j = 0; j < job->dim; j++) sum[j] += (double)job->prompts[i * job->dim + j];
    }
    return status;
}

static void normalize_sum(float *embedding, const double *sum, size_t dim) {
    double square = 0;
    for (size_t i = 0; i < dim; i++) square += sum[i] * sum[i];
    double scale = square > 0 ? 1 / sqrt(square) : 0;
    for (size_t i = 0; i < dim; i++) embedding[i] = (float)(sum[i] * scale);
}

/* Computes and remembers the classes of which all prompts, `prompts` in all, are embedded. */
static void finish_labels(struct job *job, size_t prompts) {
    for (; job->finished < prompts / job->set.templates_count; job->finished++) {
        size_t label = job->missing[job->finished];
        float *embedding = job->embeddings + label * job->dim;
        normalize_sum(embedding, job->sums + job->finished * job->dim, job->dim);
        label_cache_put(job->classifier->cache, job->keys + label * SHA256_SIZE, embedding,
                        job->dim, job->truncated[label]);
    }
}

/* Remembers what there is of the class that is under way, `prompts` being embedded in all. */
static void keep_part(const struct job *job, size_t prompts) {
    size_t part = prompts % job->set.templates_count;
    if (!part) return;
    size_t label = job->missing[job->finished];
    label_cache_put_part(job->classifier->cache, job->keys + label * SHA256_SIZE,
                         job->sums + job->finished * job->dim, job->dim, part,
                         job->truncated[label]);
}

/* How many prompts of the first missing class somebody left behind, in its sum. */
static size_t take_part(const struct job *job) {
    size_t prompts = 0, label = job->missing[0];
    label_cache_get_part(job->classifier->cache, job->keys + label * SHA256_SIZE, job->sums,
                         job->dim, &prompts, &job->truncated[label]);
    return prompts;
}

/* Computes the missing classes and remembers them. */
static enum status embed_missing(struct job *job, struct engine_call *how, struct error *err) {
    size_t pairs, size;
    if (!size_multiply(&pairs, job->missing_count, job->set.templates_count) ||
        !size_multiply(&size, job->missing_count, job->dim)) {
        return error_set(err, STATUS_TOO_LARGE, "%zu labels in %zu templates are too many",
                         job->missing_count, job->set.templates_count);
    }
    job->prompts = calloc(PROMPTS_AT_ONCE * job->dim, sizeof(*job->prompts));
    job->sums = calloc(size, sizeof(*job->sums));
    if (!job->prompts || !job->sums) {
        return error_set(err, STATUS_NO_MEMORY, "out of memory for %zu labels", job->missing_count);
    }
    struct engine_text_info infos[PROMPTS_AT_ONCE];
    struct engine_call own = {.deadline_ns = how->deadline_ns, .gone = how->gone, .texts = infos};
    enum status status = STATUS_OK;
    size_t done = take_part(job);
    while (done < pairs && !status) {
        size_t count = pairs - done < PROMPTS_AT_ONCE ? pairs - done : PROMPTS_AT_ONCE;
        status = add_prompts(job, done, count, &own, err);
        done += own.done;
        finish_labels(job, done);
    }
    if (status) keep_part(job, done);
    how->timings.decode_ns += own.timings.decode_ns;
    how->timings.queue_ns += own.timings.queue_ns;
    how->timings.encode_ns += own.timings.encode_ns;
    return status;
}

/* Takes what the cache has and lists the rest. */
static enum status look_up(struct job *job, struct error *err) {
    const struct label_set *set = &job->set;
    struct buffer prefix;
    buffer_init(&prefix, PROMPTS_SIZE_MAX);
    enum status status = key_prefix(&prefix, engine_info(job->engine), set, err);
    for (size_t i = 0; i < set->labels_count && !status; i++) {
        uint8_t *key = job->keys + i * SHA256_SIZE;
        float *embedding = job->embeddings + i * job->dim;
        bool *truncated = &job->truncated[i];
        *truncated = false;
        status = key_of(key, &prefix, set->labels[i], err);
        if (status) break;
        if (label_cache_get(job->classifier->cache, key, embedding, job->dim, truncated)) continue;
        job->missing[job->missing_count++] = i;
    }
    buffer_free(&prefix);
    return status;
}

enum status classify_embed_labels(struct classifier *classifier, struct engine *engine,
                                  const struct label_set *set, float *embeddings, bool *truncated,
                                  struct engine_call *how, struct error *err) {
    const struct bytes fallback = bytes_of(classify_template_default);
    struct job job = {.classifier = classifier,
                      .engine = engine,
                      .set = *set,
                      .dim = engine_info(engine)->embed_dim,
                      .embeddings = embeddings,
                      .truncated = truncated};
    if (!set->templates_count) {
        job.set.templates = &fallback;
        job.set.templates_count = 1;
    }
    for (size_t i = 0; i < set->templates_count; i++) {
        enum status status = classify_check_template(set->templates[i], err);
        if (status) return status;
    }
    enum status status;
    job.keys = calloc(set->labels_count, SHA256_SIZE);
    job.missing = calloc(set->labels_count, sizeof(*job.missing));
    if (!job.keys || !job.missing) {
        status =
            error_set(err, STATUS_NO_MEMORY, "out of memory for %zu labels", set->labels_count);
    } else {
        status = look_up(&job, err);
        if (!status && job.missing_count) status = embed_missing(&job, how, err);
    }
    free(job.prompts);
    free(job.sums);
    free(job.missing);
    free(job.keys);
    return status;
}

static int better(const void *a, const void *b) {
    const struct classify_score *x = a, *y = b;
    if (x->cosine != y->cosine) return x->cosine < y->cosine ? 1 : -1;
    return x->label < y->label ? -1 : x->label > y->label;
}

void classify_score(struct engine *engine, const float *image_embedding,
                    const float *label_embeddings, size_t labels_count,
                    struct classify_score *scores) {
    const struct engine_info *info = engine_info(engine);
    for (size_t i = 0; i < labels_count; i++) {
        const float *label = label_embeddings + i * info->embed_dim;
        double cosine = 0;
        for (size_t j = 0; j < info->embed_dim; j++)
            cosine += (double)image_embedding[j] * label[j];
        scores[i] = (struct classify_score){.label = i, .cosine = (float)cosine};
    }
    if (!labels_count) return;
    qsort(scores, labels_count, sizeof(*scores), better);
    double sum = 0, best = (double)scores[0].cosine;
    for (size_t i = 0; i < labels_count; i++) {
        sum += exp((double)info->logit_scale * ((double)scores[i].cosine - best));
    }
    for (size_t i = 0; i < labels_count; i++) {
        double cosine = (double)scores[i].cosine, scale = (double)info->logit_scale;
        double share = info->sigmoid ? 1 / (1 + exp(-(scale * cosine + (double)info->logit_bias)))
                                     : exp(scale * (cosine - best)) / sum;
        scores[i].probability = (float)share;
    }
}
