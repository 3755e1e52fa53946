#include "core/towers/workspace.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/base/bytes.h"
#include "core/towers/convnext_encode.h"
#include "core/towers/fastvit_encode.h"
#include "core/towers/pooler_encode.h"
#include "core/towers/resnet_encode.h"
#include "core/towers/vit_stem.h"

enum { PAD = 16, ALIGNMENT = 64, PAGE = 2 << 20 };

/* Of each part of a lane whose size follows from that of the images. */
static const size_t LANE_BYTES_MAX = (size_t)1 << 31;

size_t workspace_qkv_stride(size_t columns) {
    return columns + 2 * (size_t)PAD;
}

size_t workspace_wide_stride(size_t columns) {
    return columns + PAD;
}

/* Bytes of each part of a lane: the most that any tower needs. */
struct sizes {
    size_t rows, images;
    size_t x, input, hidden, wide, qkv, row, attention;
    struct conv_scratch conv;
};

static void most(size_t *size, size_t needed) {
    if (needed > *size) *size = needed;
}

/* Bytes of A for a product with rows of k. */
static size_t row_bytes(const struct linear *linear) {
    static const size_t element[] = {
        [GEMM_FP32] = sizeof(float), [GEMM_BF16] = sizeof(uint16_t), [GEMM_INT8] = sizeof(uint8_t)};
    if (!linear->blob) return 0;
    const struct gemm_kernel *kernel = linear->weight.kernel;
    return gemm_row_stride(kernel, linear->weight.k) * element[gemm_kernel_precision(kernel)];
}

/* Rows of a pass: those of `inputs` (0: of any number), unless that is too many to be fast. */
static size_t rows_of(const struct tower *tower, uint32_t inputs) {
    size_t tokens = tower->tokens_max;
    if (inputs && inputs < WORKSPACE_ROWS / tokens) return inputs * tokens;
    return tokens > WORKSPACE_ROWS ? tokens : WORKSPACE_ROWS;
}

/* What the MLP of a block has there, see transformer.c: of a gated one both products. */
static size_t wide_columns(const struct model_tower *shape, const struct block *block) {
    if (!block->proj.blob) return 0;
    if (shape->gated) return 2 * (size_t)shape->mlp_width;
    bool straight =
        gemm_kernel_precision(block->proj.weight.kernel) != GEMM_INT8 && !block->ln_proj.gain;
    return straight ? 0 : shape->mlp_width;
}

static void measure_tower(struct sizes *sizes, const struct tower *tower, size_t rows,
                          size_t embed_dim) {
    const struct model_tower *shape = &tower->shape;
    most(&sizes->rows, rows);
    most(&sizes->x, rows * shape->width * sizeof(float));
    size_t columns = shape->width > embed_dim ? shape->width : embed_dim;
    most(&columns, (size_t)shape->heads * shape->head_width);
    most(&columns, shape->projection_hidden);
    for (uint32_t i = 0; tower->blocks && i < shape->layers; i++) {
        const struct block *block = &tower->blocks[i];
        most(&columns, wide_columns(shape, block));
        most(&sizes->qkv, rows * workspace_qkv_stride(block->qkv.weight.n) * sizeof(float));
        most(&sizes->input, rows * row_bytes(&block->qkv));
        most(&sizes->input, rows * row_bytes(&block->out));
        most(&sizes->input, rows * row_bytes(&block->fc));
        most(&sizes->hidden, rows * row_bytes(&block->proj));
    }
    most(&sizes->wide, rows * workspace_wide_stride(columns) * sizeof(float));
    most(&sizes->row, columns * sizeof(float));
    most(&sizes->input, rows * row_bytes(&tower->hidden));
    most(&sizes->input, rows * row_bytes(&tower->projection));
    most(&sizes->attention,
         attention_scratch_size(tower->attention, tower->tokens_max, shape->head_width));
}

/* The maps of one image, and the rows that are left of all. */
static enum status measure_maps(struct sizes *sizes, const struct towers *towers,
                                const struct model_info *info, struct error *err) {
    struct map_sizes needed = {0};
    size_t height = info->image_size, width = info->image_width, channels = info->vision.width;
    size_t tokens = 0, attention = 0;
    bool is_resnet = towers->image_tower == MODEL_IMAGE_RESNET, fits = false;
    switch (towers->image_tower) {
    case MODEL_IMAGE_VIT: fits = vit_stem_measure(&needed, towers->vit.stem, height, width); break;
    case MODEL_IMAGE_RESNET: fits = resnet_measure(&needed, &towers->resnet, height, width); break;
    case MODEL_IMAGE_CONVNEXT:
        fits = convnext_measure(&needed, &towers->convnext, height, width);
        break;
    case MODEL_IMAGE_FASTVIT:
        fits = fastvit_measure(&needed, &tokens, &towers->fastvit, height, width);
        break;
    }
    if (tokens)
        attention =
            attention_scratch_size(towers->vision.attention, tokens, info->vision.head_width);
    if (!fits || attention > LANE_BYTES_MAX || needed.stream > LANE_BYTES_MAX ||
        needed.hidden > LANE_BYTES_MAX) {
        return error_set(
            err, STATUS_TOO_LARGE,
            "images of %zu x %zu pixels are too large: their maps would need more than "
            "%zu MiB for each worker",
            width, height, LANE_BYTES_MAX >> 20);
    }
    most(&sizes->x, needed.stream);
    most(&sizes->wide, needed.stream);
    most(&sizes->hidden, needed.hidden);
    sizes->conv = needed.scratch;
    most(&sizes->qkv, sizes->rows * workspace_qkv_stride(3 * channels) * sizeof(float));
    /* At most three times the hidden map, which an MLP makes at least as wide as the stream. */
    most(&sizes->qkv, tokens * workspace_qkv_stride(3 * channels) * sizeof(float));
    most(&sizes->attention, attention);
    if (is_resnet) {
        most(&sizes->input, needed.hidden);
        most(&sizes->input, sizes->rows * row_bytes(&towers->resnet.query));
        most(&sizes->input, sizes->rows * row_bytes(&towers->resnet.key_value));
    } else if (towers->image_tower == MODEL_IMAGE_CONVNEXT) {
        size_t hidden = info->convnext.hidden, dim = info->embed_dim;
        most(&sizes->input, sizes->rows * row_bytes(&towers->convnext.head));
        most(&sizes->wide, sizes->rows * workspace_wide_stride(hidden) * sizeof(float));
        most(&sizes->x, sizes->rows * dim * sizeof(float));
        most(&sizes->row, (hidden > channels ? hidden : channels) * sizeof(float));
    }
    return STATUS_OK;
}

/* Of one image each head has a row, and there may be more of them than of its own. */
static void measure_pooler(struct sizes *sizes, const struct towers *towers) {
    const struct pooler *pooler = &towers->pooler;
    size_t width = towers->vision.shape.pooled_width;
    if (!pooler->scores.blob) return;
    most(&sizes->rows, pooler->scores.weight.n);
    most(&sizes->x, sizes->rows * width * sizeof(float));
    most(&sizes->qkv, pooler_floats(towers, sizes->rows) * sizeof(float));
    most(&sizes->input, sizes->rows * row_bytes(&pooler->scores));
    most(&sizes->input, sizes->rows * row_bytes(&pooler->value));
    most(&sizes->input, sizes->rows * row_bytes(&pooler->out));
    most(&sizes->input, sizes->rows * row_bytes(&pooler->fc));
    most(&sizes->hidden, sizes->rows * row_bytes(&pooler->proj));
    most(&sizes->row,
         (width > pooler->proj.weight.k ? width : pooler->proj.weight.k) * sizeof(float));
    most(&sizes->wide, sizes->rows * workspace_wide_stride(pooler->proj.weight.k) * sizeof(float));
}

static enum status measure_images(struct sizes *sizes, const struct towers *towers,
                                  const struct model_info *info, uint32_t images,
                                  struct error *err) {
    size_t rows = rows_of(&towers->vision, images);
    sizes->images = rows / towers->vision.tokens_max;
    measure_tower(sizes, &towers->vision, rows, info->embed_dim);
    if (towers->image_tower != MODEL_IMAGE_VIT || info->conv_stem)
        return measure_maps(sizes, towers, info, err);
    most(&sizes->hidden, rows * row_bytes(&towers->vit.patch));
    most(&sizes->row, towers->vit.patch.weight.k * sizeof(float));
    measure_pooler(sizes, towers);
    return STATUS_OK;
}

static enum status measure(struct sizes *sizes, const struct towers *towers,
                           const struct model_info *info, uint32_t images, struct error *err) {
    const struct tower *text = &towers->text;
    if (text->shape.layers) measure_tower(sizes, text, rows_of(text, 0), info->embed_dim);
    if (!towers->vision.shape.layers) return STATUS_OK;
    return measure_images(sizes, towers, info, images, err);
}

static uint8_t *part(uint8_t **at, size_t size) {
    uint8_t *begin = *at;
    *at += (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return begin;
}

/* Whole huge pages. */
static size_t lane_bytes(const struct sizes *sizes) {
    size_t scales = sizes->rows * sizeof(struct row_scale);
    size_t starts = (sizes->rows + 1) * sizeof(size_t);
    size_t strip_scales = sizes->conv.rows * sizeof(struct row_scale);
    size_t total = sizes->x + sizes->input + sizes->hidden + sizes->wide + sizes->qkv + sizes->row +
                   sizes->attention + scales + 2 * starts + sizes->conv.strip + sizes->conv.lines +
                   strip_scales + sizes->rows + 20 * (size_t)ALIGNMENT;
    return (total + PAGE - 1) / PAGE * PAGE;
}

size_t workspace_bytes(const struct towers *towers, const struct model_info *info, uint32_t workers,
                       uint32_t images) {
    struct sizes sizes = {0};
    /* Images that are too large are refused when the workspace is created. */
    return measure(&sizes, towers, info, images, NULL) ? 0 : workers * lane_bytes(&sizes);
}

static enum status create_lane(struct lane *lane, const struct sizes *sizes, struct error *err) {
    size_t scales = sizes->rows * sizeof(struct row_scale);
    size_t starts = (sizes->rows + 1) * sizeof(size_t);
    size_t strip_scales = sizes->conv.rows * sizeof(struct row_scale);
    size_t total = lane_bytes(sizes);
    /* Zeros, because padding is read, too; and untouched, so that rows which no batch ever
     * fills take no memory. */
    lane->memory = calloc(1, total + PAGE);
    if (!lane->memory)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for %zu bytes", total);
    uint8_t *at = lane->memory;
    at += (PAGE - (uintptr_t)at % PAGE) % PAGE;
    madvise(at, total, MADV_HUGEPAGE);
    lane->x = (float *)part(&at, sizes->x);
    lane->input = part(&at, sizes->input);
    lane->hidden = part(&at, sizes->hidden);
    lane->wide = (float *)part(&at, sizes->wide);
    lane->qkv = part(&at, sizes->qkv);
    lane->scratch.row = (float *)part(&at, sizes->row);
    lane->scratch.attention = part(&at, sizes->attention);
    lane->scratch.strip = part(&at, sizes->conv.strip);
    lane->scratch.lines = (float *)part(&at, sizes->conv.lines);
    lane->scratch.scales = (struct row_scale *)part(&at, strip_scales);
    lane->scales = (struct row_scale *)part(&at, scales);
    lane->sequences.start = (size_t *)part(&at, starts);
    lane->sequences.pooled = (size_t *)part(&at, starts);
    lane->sequences.masked = part(&at, sizes->rows);
    return STATUS_OK;
}

enum status workspace_create(struct workspace **out, const struct towers *towers,
                             const struct model_info *info, uint32_t workers, uint32_t images,
                             struct error *err) {
    struct sizes sizes = {0};
    struct workspace *workspace = calloc(1, sizeof(*workspace));
    if (!workspace) return error_set(err, STATUS_NO_MEMORY, "out of memory for a workspace");
    enum status status = measure(&sizes, towers, info, images, err);
    if (status) {
        free(workspace);
        return status;
    }
    workspace->images_max = sizes.images;
    workspace->lanes = calloc(workers, sizeof(*workspace->lanes));
    if (!workspace->lanes) {
        free(workspace);
        return error_set(err, STATUS_NO_MEMORY, "out of memory for a workspace");
    }
    workspace->workers = workers;
    for (uint32_t i = 0; i < workers && !status; i++) {
        status = create_lane(&workspace->lanes[i], &sizes, err);
    }
    if (status)
        workspace_destroy(workspace);
    else
        *out = workspace;
    return status;
}

void workspace_destroy(struct workspace *workspace) {
    if (!workspace) return;
    for (uint32_t i = 0; i < workspace->workers; i++) free(workspace->lanes[i].memory);
    free(workspace->lanes);
    free(workspace);
}
