#include "cli/bench_inputs.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "core/base/bytes.h"
#include "core/batch/batcher.h"

enum { GRID = 8 }; /* random values a side of an image; the rest lies between them */

/* Numerical Recipes' generator; its upper bits are random enough. */
static uint32_t next_random(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* The value of channel `c` at a point of the grid, between its four corners. */
static double between(const uint8_t grid[GRID + 1][GRID + 1][3], double y, double x, size_t c) {
    size_t row = (size_t)y, column = (size_t)x;
    double down = y - (double)row, right = x - (double)column;
    double upper = grid[row][column][c] * (1 - right) + grid[row][column + 1][c] * right;
    double lower = grid[row + 1][column][c] * (1 - right) + grid[row + 1][column + 1][c] * right;
    return upper * (1 - down) + lower * down;
}

static void draw_image(uint8_t *pixels, size_t height, size_t width, uint32_t *state) {
    uint8_t grid[GRID + 1][GRID + 1][3];
    for (size_t i = 0; i < sizeof(grid); i++)
        grid[i / 3 / (GRID + 1)][i / 3 % (GRID + 1)][i % 3] = (uint8_t)next_random(state);
    for (size_t row = 0; row < height; row++) {
        for (size_t column = 0; column < width; column++) {
            double y = (double)(row * GRID) / (double)height;
            double x = (double)(column * GRID) / (double)width;
            uint8_t *pixel = pixels + (row * width + column) * 3;
            for (size_t c = 0; c < 3; c++)
                pixel[c] = (uint8_t)between((const uint8_t(*)[GRID + 1][3]) grid, y, x, c);
        }
    }
}

enum status bench_inputs_make_images(struct bench_inputs *out, const struct model_info *info,
                                     struct error *err) {
    size_t height = info->image_size, width = info->image_width, size = height * width * 3;
    uint32_t state = 1;
    *out = (struct bench_inputs){.tokens = (uint32_t)model_image_tokens(info),
                                 .operations = model_image_operations(info)};
    uint8_t *pixels = calloc(BENCH_INPUTS, size);
    if (!pixels) return error_set(err, STATUS_NO_MEMORY, "out of memory for images");
    out->memory = pixels;
    for (size_t i = 0; i < BENCH_INPUTS; i++) {
        draw_image(pixels + i * size, height, width, &state);
        out->items[i] = pixels + i * size;
    }
    return STATUS_OK;
}

enum status bench_inputs_make_texts(struct bench_inputs *out, const struct model_info *info,
                                    uint32_t tokens, struct error *err) {
    assert(tokens >= 2 && tokens <= info->context_length);
    uint32_t end = info->pooling == MODEL_POOL_EOS ? info->end_token : info->vocab_size - 1;
    uint32_t state = tokens;
    *out = (struct bench_inputs){
        .is_text = true, .tokens = tokens, .operations = model_text_operations(info, tokens)};
    uint32_t *ids = calloc((size_t)BENCH_INPUTS * tokens, sizeof(*ids));
    if (!ids) return error_set(err, STATUS_NO_MEMORY, "out of memory for texts");
    out->memory = ids;
    for (size_t i = 0; i < BENCH_INPUTS; i++) {
        uint32_t *text = ids + i * tokens;
        for (size_t k = 0; k + 1 < tokens; k++) {
            text[k] = next_random(&state) % info->vocab_size;
            if (text[k] == end) text[k] = end ? end - 1 : info->vocab_size - 1;
        }
        text[tokens - 1] = end;
        out->texts[i] = (struct model_text){.ids = text, .count = tokens};
        out->items[i] = &out->texts[i];
    }
    return STATUS_OK;
}

void bench_inputs_free(struct bench_inputs *inputs) {
    free(inputs->memory);
    free(inputs->expected);
}

void bench_inputs_encode(const struct model *model, uint32_t worker, struct team *team,
                         bool is_text, const void *const *items, uint32_t count,
                         float *const *embeddings) {
    const uint8_t *pixels[BATCH_MAX_LIMIT];
    struct model_text texts[BATCH_MAX_LIMIT];
    assert(count <= BATCH_MAX_LIMIT);
    for (uint32_t i = 0; i < count; i++) {
        if (is_text)
            texts[i] = *(const struct model_text *)items[i];
        else
            pixels[i] = items[i];
    }
    if (is_text)
        model_encode_texts(model, worker, team, texts, count, embeddings);
    else
        model_encode_images(model, worker, team, pixels, count, embeddings);
}

/* [BENCH_INPUTS, embed_dim], the caller's to free; NULL without memory. */
static float *encode_all(const struct bench_inputs *inputs, const struct model *model,
                         struct error *err) {
    size_t dim = model_info(model)->embed_dim;
    float *rows[BENCH_INPUTS], *embeddings = calloc(BENCH_INPUTS * dim, sizeof(*embeddings));
    if (!embeddings) {
        error_set(err, STATUS_NO_MEMORY, "out of memory for embeddings");
        return NULL;
    }
    for (size_t i = 0; i < BENCH_INPUTS; i++) rows[i] = embeddings + i * dim;
    bench_inputs_encode(model, 0, NULL, inputs->is_text, inputs->items, BENCH_INPUTS, rows);
    return embeddings;
}

enum status bench_inputs_expect(struct bench_inputs *inputs, const struct model *model,
                                struct error *err) {
    inputs->expected = encode_all(inputs, model, err);
    return inputs->expected ? STATUS_OK : STATUS_NO_MEMORY;
}

static double cosine(const float *a, const float *b, size_t count) {
    double aa = 0, bb = 0, ab = 0;
    for (size_t i = 0; i < count; i++) {
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
        ab += (double)a[i] * (double)b[i];
    }
    return ab / sqrt(aa * bb);
}

enum status bench_inputs_cosine(double *out, const struct bench_inputs *inputs,
                                const struct model *model, struct error *err) {
    size_t dim = model_info(model)->embed_dim;
    float *embeddings = encode_all(inputs, model, err);
    if (!embeddings) return STATUS_NO_MEMORY;
    *out = 1;
    for (size_t i = 0; i < BENCH_INPUTS; i++) {
        double found = cosine(embeddings + i * dim, inputs->expected + i * dim, dim);
        if (!(found >= *out)) *out = found; /* not a number counts as worst */
    }
    free(embeddings);
    return STATUS_OK;
}
