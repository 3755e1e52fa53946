#include "core/pack/convnext_pack.h"

#include <stdlib.h>

#include "core/pack/conv_pack.h"

/* [width, 49] to [49, width]. */
static enum status pack_window(const struct convnext_block *to,
                               const struct blueprint_convnext_block *from, struct error *err) {
    size_t width = from->window.rows, area = from->window.columns;
    float *stored = malloc(width * area * sizeof(*stored));
    float *turned = malloc(width * area * sizeof(*turned));
    if (stored && turned) {
        source_read(&from->window, 0, width, stored);
        source_release(&from->window);
        for (size_t i = 0; i < width * area; i++) turned[i % area * width + i / area] = stored[i];
        struct source source = {
            .kind = SOURCE_COMPUTED, .rows = area, .columns = width, .computed = turned};
        pack_vector(to->window, &source);
        pack_vector(to->window_bias, &from->window_bias);
    } else {
        error_set(err, STATUS_NO_MEMORY, "out of memory for windows of %zu channels", width);
    }
    bool done = stored && turned;
    free(stored);
    free(turned);
    return done ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status pack_block(const struct convnext_block *to,
                              const struct blueprint_convnext_block *from,
                              const uint8_t plan[PLAN_PRODUCTS], struct error *err) {
    enum status status = pack_window(to, from, err);
    if (!status && to->halve.window) {
        pack_norm(&to->halve_norm, &from->halve_norm);
        status = conv_pack(&to->halve, &from->halve, err);
    }
    if (status) return status;
    pack_norm(&to->norm, &from->norm);
    status = pack_linear(&to->fc.product, &from->fc, &to->norm, plan[CONVNEXT_FC], err);
    pack_finish_norm(&to->norm, plan[CONVNEXT_FC], from->fc.weights[0].columns);
    if (status) return status;
    return pack_linear(&to->proj.product, &from->proj, NULL, plan[CONVNEXT_PROJ], err);
}

enum status convnext_pack(const struct towers *towers, const struct blueprint *from,
                          const struct plan *plan, struct error *err) {
    const struct convnext *to = &towers->convnext;
    const struct tower *tower = &towers->vision;
    uint8_t projection = plan->projection[PLAN_VISION];
    enum status status = conv_pack(&to->stem, &from->convnext.stem, err);
    pack_norm(&to->stem_norm, &from->convnext.stem_norm);
    pack_norm(&tower->ln_end, &from->vision.ln_end);
    for (uint32_t i = 0; i < to->count && !status; i++) {
        status = pack_block(&to->blocks[i], &from->convnext.blocks[i], plan->layers[PLAN_VISION][i],
                            err);
    }
    if (status) return status;
    const struct norm *end = &tower->ln_end;
    if (to->head.blob) {
        status = pack_linear(&to->head, &from->convnext.head, end, projection, err);
        if (status) return status;
    }
    status = pack_linear(&tower->projection, &from->vision.projection, to->head.blob ? NULL : end,
                         projection, err);
    pack_finish_norm(end, projection, tower->shape.width);
    return status;
}
