/* pooler_encode.c - the forward pass of a pooler.
 *
 * In lane->wide are the rows, normalised; in lane->qkv their scores, [rows, heads], and behind
 * them what the heads of each image make of its rows. Images go through the product of values
 * one by one, a row for each head, of which a head takes its own columns. */
#include "core/towers/pooler_encode.h"

#include <math.h>
#include <string.h>

#include "core/towers/transformer.h"

struct pool {
    const struct towers *towers;
    const struct pass *pass;
    size_t rows, heads;
    size_t image; /* the one whose rows are mixed */
    float *scores, *values, *mixed;
};

size_t pooler_floats(const struct towers *towers, size_t rows) {
    size_t heads = towers->pooler.scores.weight.n, width = towers->vision.shape.pooled_width;
    return rows * heads + (heads + rows) * width;
}

static void normalize_rows(void *context, size_t begin, size_t end, uint32_t member) {
    (void)member;
    const struct pool *pool = context;
    const struct model_tower *shape = &pool->towers->vision.shape;
    const struct norm *norm = &pool->towers->pooler.ln_k;
    const struct lane *lane = pool->pass->lane;
    size_t width = shape->width, stride = workspace_wide_stride(width);
    for (size_t i = begin; i < end; i++) {
        pool->pass->rows->layer_norm(lane->wide + i * stride, lane->x + i * width, norm->gain,
                                     norm->bias, width, shape->layer_norm_eps);
    }
}

/* Scores to weights that add up to one; `heads` floats between those of two rows. */
static void soften(float *scores, size_t rows, size_t heads) {
    float largest = scores[0], sum = 0;
    for (size_t i = 1; i < rows; i++) largest = fmaxf(largest, scores[i * heads]);
    for (size_t i = 0; i < rows; i++) {
        float *score = scores + i * heads;
        sum += *score = expf(*score - largest);
    }
    for (size_t i = 0; i < rows; i++) scores[i * heads] /= sum;
}

/* Units are heads: each mixes the rows of the image to one, in lane->x. */
static void mix_rows(void *context, size_t begin, size_t end, uint32_t member) {
    (void)member;
    const struct pool *pool = context;
    const struct lane *lane = pool->pass->lane;
    size_t width = pool->towers->vision.shape.width, stride = workspace_wide_stride(width);
    size_t first = lane->sequences.start[pool->image],
           count = lane->sequences.start[pool->image + 1] - first;
    for (size_t head = begin; head < end; head++) {
        float *weights = pool->scores + first * pool->heads + head, *to = lane->x + head * width;
        soften(weights, count, pool->heads);
        memset(to, 0, width * sizeof(*to));
        for (size_t i = 0; i < count; i++) {
            float weight = weights[i * pool->heads];
            const float *row = lane->wide + (first + i) * stride;
            for (size_t j = 0; j < width; j++) to[j] += weight * row[j];
        }
    }
}

/* What one image's heads have mixed, through the product of values, to its row of `mixed`. */
static void pool_image(struct pool *pool) {
    const struct pooler *pooler = &pool->towers->pooler;
    const struct pass *pass = pool->pass;
    const struct model_tower *shape = &pool->towers->vision.shape;
    size_t width = shape->pooled_width, depth = width / pool->heads;
    team_run(pass->team, pool->heads, mix_rows, pool);
    struct pass_rows rows = {.from = pass->lane->x, .stride = shape->width};
    pass_prepare(pass, &rows, &pooler->value, pass->lane->input, pool->heads);
    pass_multiply(pass, &pooler->value, pool->heads, pool->values, width);
    for (size_t head = 0; head < pool->heads; head++) {
        memcpy(pool->mixed + pool->image * width + head * depth,
               pool->values + head * width + head * depth, depth * sizeof(*pool->mixed));
    }
}

void pooler_encode(const struct towers *towers, const struct pass *pass) {
    const struct pooler *pooler = &towers->pooler;
    struct lane *lane = pass->lane;
    size_t images = lane->sequences.count, width = towers->vision.shape.pooled_width;
    struct pool pool = {.towers = towers,
                        .pass = pass,
                        .rows = lane->sequences.start[images],
                        .heads = pooler->scores.weight.n,
                        .scores = lane->qkv};
    pool.values = pool.scores + pool.rows * pool.heads;
    pool.mixed = pool.values + pool.heads * width;
    team_run(pass->team, pool.rows, normalize_rows, &pool);
    struct pass_rows rows = {.from = lane->wide,
                             .stride = workspace_wide_stride(towers->vision.shape.width)};
    pass_prepare(pass, &rows, &pooler->scores, lane->input, pool.rows);
    pass_multiply(pass, &pooler->scores, pool.rows, pool.scores, pool.heads);
    for (pool.image = 0; pool.image < images; pool.image++) pool_image(&pool);
    struct pass_rows mixed = {.from = pool.mixed, .stride = width};
    pass_prepare(pass, &mixed, &pooler->out, lane->input, images);
    pass_multiply(pass, &pooler->out, images, lane->x, width);
    if (!pooler->fc.blob) return;
    struct model_tower shape = towers->vision.shape;
    struct block mlp = {.ln_2 = pooler->ln, .fc = pooler->fc, .proj = pooler->proj};
    shape.width = (uint32_t)width;
    transformer_mlp(&shape, &mlp, pass, images);
}
