/* bench_inputs.h - made-up images and texts to measure with, and what a model makes of
 * them.
 *
 * Images are smooth noise, because white noise is nothing that a model ever sees; texts
 * are random ids of one length between start and end token. The same each time. */
#ifndef CLI_BENCH_INPUTS_H
#define CLI_BENCH_INPUTS_H

#include "core/model/model.h"

enum { BENCH_INPUTS = 4 };

/* One kind of input: images, or texts of one length. */
struct bench_inputs {
    bool is_text;
    uint32_t tokens; /* rows of the tower for one input */
    double operations;
    const void *items[BENCH_INPUTS]; /* pixels, or struct model_text */
    struct model_text texts[BENCH_INPUTS];
    void *memory;    /* pixels or ids */
    float *expected; /* [BENCH_INPUTS, embed_dim], see bench_inputs_expect() */
};

enum status bench_inputs_make_images(struct bench_inputs *out, const struct model_info *info,
                                     struct error *err);
/* `tokens` is 2..context_length. */
enum status bench_inputs_make_texts(struct bench_inputs *out, const struct model_info *info,
                                    uint32_t tokens, struct error *err);
/* Zeroed memory is allowed. */
void bench_inputs_free(struct bench_inputs *inputs);

/* Puts items through their tower, as the engine does. */
void bench_inputs_encode(const struct model *model, uint32_t worker, struct team *team,
                         bool is_text, const void *const *items, uint32_t count,
                         float *const *embeddings);

/* Keeps what this model, the fp32 one, makes of the inputs. */
enum status bench_inputs_expect(struct bench_inputs *inputs, const struct model *model,
                                struct error *err);
/* The worst cosine between what this model makes of them and what is expected. */
enum status bench_inputs_cosine(double *out, const struct bench_inputs *inputs,
                                const struct model *model, struct error *err);

#endif
