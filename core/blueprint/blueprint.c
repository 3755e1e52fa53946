#include "core/blueprint/blueprint.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/blueprint/blueprint_bert.h"
#include "core/blueprint/blueprint_convnext.h"
#include "core/blueprint/blueprint_fastvit.h"
#include "core/blueprint/blueprint_resnet.h"
#include "core/blueprint/blueprint_text.h"
#include "core/blueprint/blueprint_vit.h"
#include "core/blueprint/draft.h"

/* A number of the whole model; *out stays as it is when there is none. */
static enum status take_number(struct draft *draft, const char *name, float *out,
                               struct error *err) {
    struct tensor *tensor = tensors_find(draft->tensors, name);
    if (!tensor) return STATUS_OK;
    size_t elements = tensor_elements(tensor);
    if (elements != 1 || !tensor_is_floating(tensor)) {
        return error_set(err, STATUS_UNPROCESSABLE,
                         "tensor %s has %zu elements of type %s, one of F32, F16 or BF16 is "
                         "expected",
                         name, elements, tensor_type_name(tensor->type));
    }
    tensor_widen(out, tensor, 0, 1);
    tensor->used = true;
    draft->info->parameters++;
    if (isfinite(expf(*out))) return STATUS_OK;
    return error_set(err, STATUS_UNPROCESSABLE, "tensor %s is %g, whose exponential is no number",
                     name, (double)*out);
}

static enum status take_logit_numbers(struct draft *draft, struct error *err) {
    float exponent = logf(100), bias = 0;
    enum status status = take_number(draft, "logit_scale", &exponent, err);
    if (!status) status = take_number(draft, "logit_bias", &bias, err);
    draft->info->logit_scale = expf(exponent);
    if (draft->names.vision->is_apple) /* as Apple's loader does */
        draft->info->logit_scale = fminf(draft->info->logit_scale, 100);
    draft->info->logit_bias = bias;
    draft->info->sigmoid =
        draft->config->sigmoid || tensors_find(draft->tensors, "logit_bias") != NULL;
    return status;
}

/* A tower's tensor that nobody took means arithmetic that we would leave out. */
static enum status check_leftovers(const struct draft *draft, struct error *err) {
    const struct tensors *tensors = draft->tensors;
    for (size_t i = 0; i < tensors->count; i++) {
        const struct tensor *tensor = &tensors->list[i];
        if (tensor->used || names_ignorable(tensor->name) || !names_in_tower(tensor->name))
            continue;
        return error_set(err, STATUS_UNSUPPORTED,
                         "tensor %.160s is no part of a plain CLIP tower: this variant is not "
                         "supported",
                         tensor->name);
    }
    return STATUS_OK;
}

/* By the kind of image tower. */
static enum status draw_vision(struct draft *draft, struct blueprint *out, struct error *err) {
    draft->info->image_tower = draft->names.vision->tower;
    switch (draft->info->image_tower) {
    case MODEL_IMAGE_VIT: return blueprint_vit_draw(draft, out, err);
    case MODEL_IMAGE_RESNET: return blueprint_resnet_draw(draft, out, err);
    case MODEL_IMAGE_CONVNEXT: return blueprint_convnext_draw(draft, out, err);
    case MODEL_IMAGE_FASTVIT: return blueprint_fastvit_draw(draft, out, err);
    }
    return STATUS_INTERNAL;
}

static enum status draw_text(struct draft *draft, struct blueprint *out, struct error *err) {
    return draft->names.text->is_bert ? blueprint_bert_draw(draft, out, err)
                                      : blueprint_text_draw(draft, out, err);
}

static bool tells_of_pruning(const struct tensors *tensors) {
    for (size_t i = 0; i < tensors->count; i++) {
        if (strstr(tensors->list[i].name, TENSORS_PRUNING_MASK)) return true;
    }
    return false;
}

enum status blueprint_draw(struct blueprint *out, struct model_info *info, struct tensors *tensors,
                           const struct model_config *config, struct error *err) {
    struct draft draft = {.tensors = tensors, .config = config, .info = info};
    *out = (struct blueprint){.tensors = tensors};
    enum status status = names_recognise(&draft.names, tensors, err);
    if (status) return status;
    const struct names *names = &draft.names;
    draft.pruned = tells_of_pruning(tensors);
    bool is_hf = names->has_vision ? names->vision->is_hf : names->text->is_hf;
    info->naming = config->found ? config->naming : is_hf ? MODEL_NAMES_HF : MODEL_NAMES_OPENAI;
    /* A tower that the configuration describes must be there: its first tensor will be
     * missed. One that it does not describe, but that is there, ends as a leftover. */
    draft.has_vision = config->found ? config->vision.present : names->has_vision;
    draft.has_text = config->found ? config->text.present : names->has_text;
    if (draft.has_vision) status = draw_vision(&draft, out, err);
    if (!status && draft.has_text) status = draw_text(&draft, out, err);
    if (!status) status = take_logit_numbers(&draft, err);
    if (!status) status = check_leftovers(&draft, err);
    return status;
}

void blueprint_free(struct blueprint *blueprint) {
    free(blueprint->vision.blocks);
    free(blueprint->text.blocks);
    free(blueprint->resnet.blocks);
    free(blueprint->convnext.blocks);
    free(blueprint->fastvit.layers);
    for (size_t i = 0; i < BLUEPRINT_COMPUTED; i++) free(blueprint->computed[i]);
    *blueprint = (struct blueprint){.computed = {NULL}};
}
