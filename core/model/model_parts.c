#include "core/model/model_parts.h"

#include "core/model/model.h"

enum status model_parts_prepare(struct model *model, uint32_t workers, uint32_t images,
                                struct error *err) {
    vision_set_levels(&model->levels, &model->info.preprocess);
    return workspace_create(&model->workspace, &model->towers, &model->info, workers, images, err);
}

void model_parts_free(struct model *model) {
    workspace_destroy(model->workspace);
    towers_free(&model->towers);
    packed_close(&model->packed);
}
