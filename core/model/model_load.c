/* Loads a model, one of two ways: the packed file is there and is mapped, or the
 * checkpoint is read, checked and packed. Either way what runs is the same block of
 * bytes, seen through struct towers. */
#include "core/model/model_load.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/base/log.h"
#include "core/blueprint/invent.h"
#include "core/checkpoint/architecture_info.h"
#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/config_apple.h"
#include "core/kernels/isa.h"
#include "core/model/arithmetic.h"
#include "core/model/quality.h"
#include "core/pack/pack.h"

/* ---- what to open ---- */

static enum status parse_activation(enum model_activation *out, const char *name,
                                    struct error *err) {
    for (int i = MODEL_QUICK_GELU; i <= MODEL_GELU_TANH; i++) {
        if (strcmp(model_activation_name((enum model_activation)i), name) != 0) continue;
        *out = (enum model_activation)i;
        return STATUS_OK;
    }
    return error_set(err, STATUS_INVALID,
                     "activation \"%.24s\" is not one of quick_gelu, gelu, gelu_tanh", name);
}

/* What the user says of the weights. */
static enum status apply_options(struct model_config *config, const struct model_options *options,
                                 struct error *err) {
    config->head_width = options->head_width;
    if (!options->activation) return STATUS_OK;
    enum status status = parse_activation(&config->vision.activation, options->activation, err);
    config->text.activation = config->vision.activation;
    return status;
}

/* What a file without configuration leaves open, unless its names tell. */
static void warn_of_activation(const struct model_info *info, const struct checkpoint *checkpoint,
                               const struct model_options *options) {
    bool assumed = (info->vision.layers && info->vision.activation == MODEL_QUICK_GELU) ||
                   (info->text.layers && info->text.activation == MODEL_QUICK_GELU);
    if (checkpoint->config.found || options->activation || !assumed) return;
    log_message(LOG_WARNING,
                "%s has no configuration: activation quick_gelu is assumed, as in OpenAI's "
                "checkpoints; set activation when it was trained with another",
                options->path);
}

/* What is packed, and the state of the files that it is made from. */
static enum status make_key(struct packed_key *out, const struct checkpoint *checkpoint,
                            const struct model_options *options,
                            const struct arithmetic *arithmetic, struct error *err) {
    char path_digest[SHA256_HEX_SIZE], files[SHA256_HEX_SIZE], config[SHA256_HEX_SIZE];
    char what[512], state[320];
    char *path = realpath(options->path, NULL);
    if (!path) return error_set_errno(err, STATUS_IO, "find", options->path);
    sha256_hex(path_digest, bytes_of(path));
    free(path);
    int size =
        snprintf(what, sizeof(what),
                 "path %s; image_size %u x %u; head_width %u; activation %s; kernels %s %s "
                 "%s; attention %u; precision %s; profile %u; measured %u",
                 path_digest, options->image_size, options->image_width, options->head_width,
                 options->activation ? options->activation : "",
                 gemm_kernel_format(gemm_kernel_find(options->features, GEMM_FP32)),
                 gemm_kernel_format(gemm_kernel_find(options->features, GEMM_BF16)),
                 gemm_kernel_format(gemm_kernel_find(options->features, GEMM_INT8)),
                 options->features & ISA_AVX512_BF16, model_precision_name(arithmetic->precision),
                 arithmetic->profiled, options->cosine_min > 0);
    assert(size > 0 && (size_t)size < sizeof(what));
    sha256_print(files, checkpoint->weights.identity);
    sha256_print(config, checkpoint->config_digest);
    size = snprintf(state, sizeof(state), "weights %s; configuration %s; profile %s", files, config,
                    arithmetic->profile_digest);
    assert(size > 0 && (size_t)size < sizeof(state));
    *out = packed_key_make(what, state);
    return STATUS_OK;
}

/* ---- reading and packing ---- */

static enum status set_preprocess(struct model_info *info, const struct model_config *config,
                                  struct error *err) {
    struct model_preprocess *preprocess = &info->preprocess;
    *preprocess = config->preprocess;
    info->tokenizer = config->tokenizer;
    if (!config->found) preprocess->convert_first = info->naming == MODEL_NAMES_HF;
    /* Chinese-CLIP as it was trained. */
    if (!config->found && info->text_tower == MODEL_TEXT_BERT)
        preprocess->resize = MODEL_RESIZE_SQUASH;
    if (!info->vision.layers) return STATUS_OK;
    uint32_t native = config->image_size ? config->image_size : info->image_size;
    if (config->crop_size && config->crop_size != native) {
        return error_set(err, STATUS_UNPROCESSABLE,
                         "the configuration makes images of %u pixels, the model takes %u",
                         config->crop_size, native);
    }
    /* At another size than the checkpoint's, what it says of sizes no longer holds. */
    if (info->image_size != native) preprocess->resize_to = 0;
    for (int c = 0; c < 3; c++) {
        if (preprocess->std[c] > 0) continue;
        return error_set(err, STATUS_UNPROCESSABLE,
                         "a standard deviation of %g; one above 0 is expected",
                         (double)preprocess->std[c]);
    }
    return STATUS_OK;
}

/* The same weights in fp32, in memory. */
static enum status open_reference(struct model *out, const struct model *model,
                                  const struct blueprint *blueprint,
                                  const struct model_options *options, struct error *err) {
    unsigned features = options->features;
    *out = (struct model){.info = model->info};
    out->info.precision = MODEL_FP32;
    plan_fill(&out->plan, MODEL_FP32);
    enum status status = towers_create(&out->towers, &out->info, &out->plan, features, err);
    if (!status) status = packed_allocate(&out->packed, out->towers.bytes, err);
    if (status) return status;
    towers_place(&out->towers, &out->info, &out->plan, features, out->packed.block.data);
    status = pack_towers(&out->towers, blueprint, &out->plan, err);
    return status ? status : model_parts_prepare(out, options->workers, 0, err);
}

/* What int8 has made of the model, whose weights have just been packed. */
static enum status measure(struct model *model, const struct blueprint *blueprint,
                           const struct model_options *options, struct error *err) {
    struct model reference, subject = *model; /* with a workspace for now */
    enum status status = open_reference(&reference, model, blueprint, options, err);
    if (!status) status = model_parts_prepare(&subject, options->workers, 0, err);
    struct model_quality *quality = &model->info.quality;
    if (!status)
        status = quality_measure(&quality->cosines, &subject, &reference, options->workers, err);
    quality->measured = !status;
    workspace_destroy(subject.workspace);
    model_parts_free(&reference);
    return status;
}

/* Packs to a file when there may be one, else to memory. A cache that cannot be written
 * is no reason not to serve. */
static enum status pack_block(struct model *model, const struct blueprint *blueprint,
                              const struct model_options *options, const struct packed_key *key,
                              struct error *err) {
    struct packed_draft *draft = NULL;
    struct error problem = ERROR_NONE;
    enum status status = STATUS_OK;
    if (options->cache)
        packed_draft_create(&draft, options->cache, key, model->towers.bytes, &problem);
    if (!draft) status = packed_allocate(&model->packed, model->towers.bytes, err);
    if (status) return status;
    const uint8_t *block = draft ? packed_draft_block(draft) : model->packed.block.data;
    towers_place(&model->towers, &model->info, &model->plan, options->features, block);
    status = pack_towers(&model->towers, blueprint, &model->plan, err);
    bool unknown = model->info.precision == MODEL_INT8 && !model->info.quality.measured;
    if (!status && unknown && options->cosine_min > 0)
        status = measure(model, blueprint, options, err);
    if (draft && !status)
        packed_draft_finish(draft, &model->packed, &model->info, &model->plan, &problem);
    packed_draft_destroy(draft);
    if (problem.status) log_message(LOG_INFO, "packed weights are not kept: %s", problem.message);
    return status;
}

/* What a checkpoint holds, as far as can be told without reading a weight. The blueprint
 * borrows the tensors, and these the files. */
static enum status describe(struct model_info *info, struct blueprint *blueprint,
                            struct tensors *tensors, const struct checkpoint *checkpoint,
                            const struct model_options *options, struct error *err) {
    struct model_config config = checkpoint->config;
    enum status status = weights_parse(tensors, &checkpoint->weights, err);
    if (status) return status;
    config_apple_assume(&config, tensors);
    status = apply_options(&config, options, err);
    if (!status) status = blueprint_draw(blueprint, info, tensors, &config, err);
    if (!status) status = set_preprocess(info, &config, err);
    if (status) return status;
    architecture_info_name(info->architecture, sizeof(info->architecture), info);
    return STATUS_OK;
}

enum status model_describe(struct model_info *out, const char *path, struct error *err) {
    struct checkpoint checkpoint;
    struct tensors tensors = {0};
    struct blueprint blueprint = {.computed = {NULL}};
    enum status status = checkpoint_read(&checkpoint, path, err);
    if (status) return status;
    *out = (struct model_info){.precision = MODEL_FP32};
    status = describe(out, &blueprint, &tensors, &checkpoint, &(struct model_options){.path = path},
                      err);
    blueprint_free(&blueprint);
    tensors_free(&tensors);
    weights_close(&checkpoint.weights);
    return status;
}

/* ---- measuring ---- */

/* Sizes follow from where the parts of the block lie, not from what is in it: an address range
 * without memory will do. */
static enum status measure_towers(size_t *bytes, struct model *model,
                                  const struct model_options *options, struct error *err) {
    struct towers *towers = &model->towers;
    void *block =
        mmap(NULL, towers->bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (block == MAP_FAILED) {
        return error_set(err, STATUS_NO_MEMORY, "no room for %zu bytes of weights", towers->bytes);
    }
    towers_place(towers, &model->info, &model->plan, options->features, block);
    *bytes =
        towers->bytes + workspace_bytes(towers, &model->info, options->workers, options->batch_max);
    munmap(block, towers->bytes);
    return STATUS_OK;
}

static enum status measure_checkpoint(size_t *bytes, const struct checkpoint *checkpoint,
                                      const struct model_options *options,
                                      const struct arithmetic *arithmetic, struct error *err) {
    struct tensors tensors = {0};
    struct blueprint blueprint = {.computed = {NULL}};
    struct model *model = calloc(1, sizeof(*model));
    if (!model) return error_set(err, STATUS_NO_MEMORY, "out of memory for a model");
    struct model_info *info = &model->info;
    info->precision = arithmetic->precision;
    info->image_size = options->image_size;
    info->image_width = options->image_width;
    enum status status = describe(info, &blueprint, &tensors, checkpoint, options, err);
    /* A profile says which model it is of. */
    if (!status && arithmetic->profiled)
        status = weights_digest(info->sha256, &checkpoint->weights, err);
    if (!status) status = arithmetic_plan(&model->plan, info, arithmetic, options, err);
    if (!status) status = towers_create(&model->towers, info, &model->plan, options->features, err);
    if (!status) status = measure_towers(bytes, model, options, err);
    blueprint_free(&blueprint);
    tensors_free(&tensors);
    model_parts_free(model);
    free(model);
    return status;
}

enum status model_measure(struct model_needs *out, const struct model_options *options,
                          struct error *err) {
    struct checkpoint checkpoint;
    struct packed_key key;
    struct arithmetic *arithmetic = malloc(sizeof(*arithmetic));
    if (!arithmetic) return error_set(err, STATUS_NO_MEMORY, "out of memory for a model");
    enum status status = arithmetic_choose(arithmetic, options, err);
    if (!status) status = checkpoint_read(&checkpoint, options->path, err);
    if (status) {
        free(arithmetic);
        return status;
    }
    status = make_key(&key, &checkpoint, options, arithmetic, err);
    if (!status) {
        sha256_hex(out->identity, bytes_of(key.name));
        status = measure_checkpoint(&out->bytes, &checkpoint, options, arithmetic, err);
    }
    weights_close(&checkpoint.weights);
    free(arithmetic);
    return status;
}

/* ---- the checkpoint ---- */

static enum status pack_checkpoint(struct model *model, const struct checkpoint *checkpoint,
                                   const struct model_options *options,
                                   const struct arithmetic *arithmetic,
                                   const struct packed_key *key, struct error *err) {
    struct tensors tensors = {0};
    struct blueprint blueprint = {.computed = {NULL}};
    struct model_info *info = &model->info;
    enum status status = describe(info, &blueprint, &tensors, checkpoint, options, err);
    if (!status) status = weights_digest(info->sha256, &checkpoint->weights, err);
    if (!status) status = arithmetic_plan(&model->plan, &model->info, arithmetic, options, err);
    if (!status) {
        status = towers_create(&model->towers, info, &model->plan, options->features, err);
    }
    if (!status) status = pack_block(model, &blueprint, options, key, err);
    blueprint_free(&blueprint);
    tensors_free(&tensors);
    return status;
}

/* True if a packed file of this very model was found and is now in place. */
static bool open_packed(struct model *model, const struct model_options *options,
                        const struct packed_key *key) {
    struct model *m = model;
    if (!options->cache || !packed_open(&m->packed, options->cache, key, &m->info, &m->plan)) {
        return false;
    }
    bool fits = !towers_create(&m->towers, &m->info, &m->plan, options->features, NULL) &&
                m->towers.bytes == m->packed.block.size;
    if (fits) {
        towers_place(&m->towers, &m->info, &m->plan, options->features, m->packed.block.data);
        return true;
    }
    towers_free(&m->towers);
    packed_close(&m->packed);
    return false;
}

static enum status open_checkpoint(struct model *model, const struct model_options *options,
                                   const struct arithmetic *arithmetic, struct error *err) {
    struct checkpoint checkpoint;
    struct packed_key key;
    enum status status = checkpoint_read(&checkpoint, options->path, err);
    if (status) return status;
    status = make_key(&key, &checkpoint, options, arithmetic, err);
    if (!status) sha256_hex(model->identity, bytes_of(key.name));
    if (!status && !open_packed(model, options, &key)) {
        model->info = (struct model_info){.precision = arithmetic->precision,
                                          .image_size = options->image_size,
                                          .image_width = options->image_width};
        status = pack_checkpoint(model, &checkpoint, options, arithmetic, &key, err);
    }
    if (!status) warn_of_activation(&model->info, &checkpoint, options);
    weights_close(&checkpoint.weights);
    return status;
}

static enum status open_invented(struct model *model, const struct model_options *options,
                                 const struct arithmetic *arithmetic, struct error *err) {
    if (!architecture_info_named(&model->info, options->architecture)) {
        return error_set(err, STATUS_NOT_FOUND, "architecture \"%.40s\" is not known",
                         options->architecture);
    }
    struct blueprint blueprint;
    struct model_options uncached = *options;
    uncached.cache = NULL;
    enum status status = invent_model(&blueprint, &model->info, options->outliers, err);
    model->info.precision = arithmetic->precision;
    if (!status) status = arithmetic_plan(&model->plan, &model->info, arithmetic, options, err);
    if (!status) {
        status = towers_create(&model->towers, &model->info, &model->plan, options->features, err);
    }
    if (!status) status = pack_block(model, &blueprint, &uncached, NULL, err);
    blueprint_free(&blueprint);
    return status;
}

enum status model_load(struct model *model, const struct model_options *options,
                       struct error *err) {
    struct arithmetic *arithmetic =
        malloc(sizeof(*arithmetic)); /* 64 KiB, too much for a small stack */
    if (!arithmetic) return error_set(err, STATUS_NO_MEMORY, "out of memory for a model");
    enum status status = arithmetic_choose(arithmetic, options, err);
    if (!status) {
        status = options->architecture ? open_invented(model, options, arithmetic, err)
                                       : open_checkpoint(model, options, arithmetic, err);
    }
    free(arithmetic);
    if (!status) status = arithmetic_check(&model->info, options, err);
    return status ? status : model_parts_prepare(model, options->workers, options->batch_max, err);
}
