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

void vision_cut_patches(const struct vision *vision, const uint8_t *pixels, float *patches) {
    size_t side = vision->patch_size, stride = vision->grid.columns * side * 3;
    for (size_t row = 0; row < vision->grid.rows; row++) {
        for (size_t column = 0; column < vision->grid.columns; column++) {
            const uint8_t *corner = pixels + row * side * stride + column * side * 3;
            for (size_t c = 0; c < 3; c++) {
                for (size_t y = 0; y < side; y++) {
                    const uint8_t *line = corner + y * stride + c;
                    for (size_t x = 0; x < side; x++) *patches++ = vision->levels[c][line[3 * x]];
                }
            }
        }
    }
}

void vision_encode(const struct vision *vision, const struct kernels *k,
                   const struct activations *a, const struct sequences *images,
                   const float *patches, float *const *embeddings) {
    const struct model_tower *shape = &vision->transformer.shape;
    size_t width = shape->width, count = vision_patches(vision);
    for (size_t i = 0; i < images->count; i++) {
        float *rows = a->x + images->start[i] * width;
        memcpy(rows, vision->class_embedding, width * sizeof(*rows));
        k->multiply_nt(rows + width, width, patches + i * vision_patch_floats(vision),
                       vision->patch.k, vision->patch.weight, vision->patch.k, count, width,
                       vision->patch.k);
        k->add(rows, vision->positions, (1 + count) * width);
        for (size_t j = 0; j <= count; j++) {
            float *row = rows + j * width;
            k->layer_norm(row, row, vision->ln_pre.gain, vision->ln_pre.bias, width,
                          shape->layer_norm_eps);
        }
    }
    transformer_forward(&vision->transformer, k, a, images);
    for (size_t i = 0; i < images->count; i++) {
        transformer_pool(&vision->transformer, k, a->x + images->start[i] * width, &vision->ln_post,
                         &vision->proj, a->normed, embeddings[i]);
    }
}
