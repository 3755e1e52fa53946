#include "core/model/vision.h"

#include <string.h>

#include "core/kernels/kernels.h"

size_t vision_patches(const struct vision *vision) {
    return (size_t)vision->grid.rows * vision->grid.columns;
}

size_t vision_patch_floats(const struct vision *vision) {
    return vision_patches(vision) * vision->patch.k;
}

void vision_set_levels(struct vision *vision, const struct model_preprocess *preprocess) {
    /* 1/255 as a product is not a true division by 255 to the last bit; the references
     * divide, or multiply in double and round, which is the same. */
    double rescale = (double)preprocess->rescale;
    if (preprocess->rescale == 1 / 255.0f) rescale = 1 / 255.0;
    for (int c = 0; c < 3; c++) {
        for (int v = 0; v < 256; v++) {
            float value = (float)(v * rescale);
            vision->levels[c][v] = (value - preprocess->mean[c]) / preprocess->std[c];
        }
    }
}

static void cut_patch(const struct vision *vision, const uint8_t *corner, float *patch) {
    size_t side = vision->patch_size, stride = (size_t)vision->image_size * 3;
    for (size_t c = 0; c < 3; c++) {
        for (size_t y = 0; y < side; y++) {
            const uint8_t *line = corner + y * stride + c;
            for (size_t x = 0; x < side; x++) *patch++ = vision->levels[c][line[3 * x]];
        }
    }
}

void vision_cut_patches(const struct vision *vision, const uint8_t *pixels, float *patches) {
    size_t side = vision->patch_size, stride = (size_t)vision->image_size * 3;
    for (size_t row = 0; row < vision->grid.rows; row++) {
        for (size_t column = 0; column < vision->grid.columns; column++) {
            cut_patch(vision, pixels + row * side * stride + column * side * 3, patches);
            patches += vision->patch.k;
        }
    }
}

void vision_embed_patches(const struct vision *vision, const struct kernels *k,
                          const float *patches, float *rows) {
    const struct model_tower *shape = &vision->transformer.shape;
    size_t width = shape->width, count = vision_patches(vision);
    memcpy(rows, vision->class_embedding, width * sizeof(*rows));
    linear_multiply(&vision->patch, k, rows + width, width, patches, count);
    k->add(rows, vision->positions, (1 + count) * width);
    for (size_t i = 0; i <= count; i++) {
        float *row = rows + i * width;
        k->layer_norm(row, row, vision->ln_pre.gain, vision->ln_pre.bias, width,
                      shape->layer_norm_eps);
    }
}

void vision_encode(const struct vision *vision, const struct kernels *k,
                   const struct activations *a, const struct sequences *images,
                   float *const *embeddings) {
    size_t width = vision->transformer.shape.width;
    transformer_forward(&vision->transformer, k, a, images);
    for (size_t i = 0; i < images->count; i++) {
        transformer_pool(&vision->transformer, k, a->x + images->start[i] * width, &vision->ln_post,
                         &vision->proj, a->normed, embeddings[i]);
    }
}
