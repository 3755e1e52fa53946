#include "core/towers/vision.h"

#include "core/towers/convnext_encode.h"
#include "core/towers/fastvit_encode.h"
#include "core/towers/resnet_encode.h"
#include "core/towers/vit.h"

void vision_set_levels(struct levels *levels, const struct model_preprocess *preprocess) {
    /* 1/255 as a product is not a true division by 255 to the last bit; the references
     * divide, or multiply in double and round, which is the same. */
    double rescale = (double)preprocess->rescale;
    if (preprocess->rescale == 1 / 255.0f) rescale = 1 / 255.0;
    for (int c = 0; c < 3; c++) {
        for (int v = 0; v < 256; v++) {
            float value = (float)(v * rescale);
            levels->value[c][v] = (value - preprocess->mean[c]) / preprocess->std[c];
        }
    }
}

void vision_encode(const struct towers *towers, const struct model_info *info,
                   const struct levels *levels, const struct pass *pass,
                   const struct vision_input *inputs, size_t count, float *const *embeddings) {
    switch (towers->image_tower) {
    case MODEL_IMAGE_VIT: vit_encode(towers, info, levels, pass, inputs, count, embeddings); return;
    case MODEL_IMAGE_CONVNEXT:
        convnext_encode(towers, info, levels, pass, inputs, count, embeddings);
        return;
    case MODEL_IMAGE_FASTVIT:
        fastvit_encode(towers, info, levels, pass, inputs, count, embeddings);
        return;
    case MODEL_IMAGE_RESNET:
        resnet_encode(towers, info, levels, pass, inputs, count, embeddings);
        return;
    }
}
