#include "core/towers/mixer.h"

#include <assert.h>
#include <string.h>

struct mix {
    const struct tower *tower;
    const struct block *block;
    const struct pass *pass;
};

/* Units are texts, each a line of a map of tokens. */
static void mix_texts(void *context, size_t begin, size_t end, uint32_t member) {
    const struct mix *mix = context;
    const struct tower *tower = mix->tower;
    const struct lane *lane = mix->pass->lane;
    size_t width = tower->shape.width, tokens = tower->tokens_max;
    struct depthwise_call call = {.in = lane->x,
                                  .height = lane->sequences.count,
                                  .width = tokens,
                                  .channels = width,
                                  .weights = mix->block->mix.weights,
                                  .bias = mix->block->mix.bias,
                                  .window = mix->block->mix.side,
                                  .flat = true,
                                  .stride = 1,
                                  .out = lane->wide,
                                  .out_stride = workspace_wide_stride(width)};
    (void)member;
    for (size_t i = begin; i < end; i++) {
        float *x = lane->x + i * tokens * width;
        const float *mixed = lane->wide + i * tokens * call.out_stride;
        tower->depthwise(&call, i, i + 1);
        for (size_t j = 0; j < tokens; j++)
            memcpy(x + j * width, mixed + j * call.out_stride, width * sizeof(*x));
    }
    call.weights = mix->block->look.weights;
    call.bias = mix->block->look.bias;
    tower->depthwise(&call, begin, end);
}

void mixer_run(const struct tower *tower, const struct block *block, const struct pass *pass) {
    const struct sequences *sequences = &pass->lane->sequences;
    struct mix mix = {.tower = tower, .block = block, .pass = pass};
    assert(sequences->start[sequences->count] == sequences->count * tower->tokens_max);
    team_run(pass->team, sequences->count, mix_texts, &mix);
}
