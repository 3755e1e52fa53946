#include "core/towers/vit.h"

#include <string.h>

#include "core/towers/pooler_encode.h"
#include "core/towers/pooling.h"
#include "core/towers/transformer.h"
#include "core/towers/vit_stem.h"

struct embed {
    const struct towers *towers;
    const struct model_info *info;
    const struct levels *levels;
    const struct pass *pass;
    const struct vision_input *inputs;
    size_t patches; /* of one image */
};

/* One patch of an image in the order channel, y, x. What is left of the image at the
 * right and at the bottom is dropped. */
static void cut_patch(const struct embed *embed, const uint8_t *pixels, size_t patch, float *out) {
    size_t side = embed->info->patch_size, stride = (size_t)embed->info->image_width * 3;
    size_t columns = embed->info->image_width / side;
    const uint8_t *corner = pixels + patch / columns * side * stride + patch % columns * side * 3;
    for (size_t c = 0; c < 3; c++) {
        const float *value = embed->levels->value[c];
        for (size_t y = 0; y < side; y++) {
            const uint8_t *line = corner + y * stride + c;
            for (size_t x = 0; x < side; x++) *out++ = value[line[3 * x]];
        }
    }
}

/* Units are patches of all images: cut and put into A of the patch product, which is as large
 * as that of an MLP and takes its place. */
static void cut_patches(void *context, size_t begin, size_t end, uint32_t member) {
    const struct embed *embed = context;
    const struct pass *pass = embed->pass;
    const struct linear *product = &embed->towers->vit.patch;
    float *scratch = pass->workspace->lanes[member].scratch.row;
    for (size_t i = begin; i < end; i++) {
        const struct vision_input *input = &embed->inputs[i / embed->patches];
        size_t patch = i % embed->patches;
        const float *row = scratch;
        if (input->pixels)
            cut_patch(embed, input->pixels, patch, scratch);
        else
            row = input->patches + patch * product->weight.k;
        pass_put_row(pass, product, row, pass->lane->hidden, i);
    }
}

/* Units are rows of x: class token, if there is one, or patch, plus its position, through ln_pre
 * if there is one. */
static void enter_rows(void *context, size_t begin, size_t end, uint32_t member) {
    const struct embed *embed = context;
    const struct towers *towers = embed->towers;
    const struct pass *pass = embed->pass;
    size_t width = towers->vision.shape.width, tokens = towers->vision.tokens_max;
    size_t classes = tokens - embed->patches;
    float *scratch = pass->workspace->lanes[member].scratch.row;
    for (size_t i = begin; i < end; i++) {
        size_t token = i % tokens, image = i / tokens;
        const float *position = towers->vision.positions + token * width;
        const float *from = towers->vit.class_embedding;
        if (token >= classes) {
            size_t row = image * embed->patches + token - classes;
            from = pass->lane->wide + row * workspace_wide_stride(width);
        }
        float *to = pass->lane->x + i * width, *sum = towers->vit.ln_pre.gain ? scratch : to;
        for (size_t j = 0; j < width; j++) sum[j] = from[j] + position[j];
        if (!towers->vit.ln_pre.gain) continue;
        pass->rows->layer_norm(to, sum, towers->vit.ln_pre.gain, towers->vit.ln_pre.bias, width,
                               towers->vision.shape.layer_norm_eps);
    }
}

void vit_encode(const struct towers *towers, const struct model_info *info,
                const struct levels *levels, const struct pass *pass,
                const struct vision_input *inputs, size_t count, float *const *embeddings) {
    struct embed embed = {.towers = towers,
                          .info = info,
                          .levels = levels,
                          .pass = pass,
                          .inputs = inputs,
                          .patches = model_patches(info)};
    size_t patches = count * embed.patches, tokens = towers->vision.tokens_max;
    struct sequences *sequences = &pass->lane->sequences;
    sequences->count = count;
    for (size_t i = 0; i <= count; i++) sequences->start[i] = i * tokens;
    memcpy(sequences->pooled, sequences->start, count * sizeof(*sequences->pooled));
    for (size_t i = 0; i < count && info->conv_stem; i++) {
        struct map_image image = {.info = info, .levels = levels, .input = &inputs[i]};
        vit_stem_run(pass, towers->vit.stem, &image, i * embed.patches);
    }
    if (!info->conv_stem) {
        team_run(pass->team, patches, cut_patches, &embed);
        struct pass_product product = {
            .linear = &towers->vit.patch,
            .call = {.a = pass->lane->hidden,
                     .m = patches,
                     .c = pass->lane->wide,
                     .c_stride = workspace_wide_stride(towers->vision.shape.width)}};
        pass_run(pass, &product);
    }
    team_run(pass->team, count * tokens, enter_rows, &embed);
    transformer_forward(&towers->vision, pass);
    if (pass->tap) return;
    if (info->image_pooling == MODEL_IMAGE_ATTENTION) pooler_encode(towers, pass);
    pooling_project(&towers->vision, pass, embeddings);
}
