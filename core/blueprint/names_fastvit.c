#include "core/blueprint/names_fastvit.h"

#define TIMM "visual.trunk."
#define TIMM_STAGE(n) TIMM "stages." n "."

const struct fastvit_names fastvit_names_timm = {
    .stem = TIMM "stem.",
    .stages = {TIMM_STAGE("0") "blocks.", TIMM_STAGE("1") "blocks.", TIMM_STAGE("2") "blocks.",
               TIMM_STAGE("3") "blocks.", TIMM_STAGE("4") "blocks."},
    .halvings = {NULL, TIMM_STAGE("1") "downsample.proj.", TIMM_STAGE("2") "downsample.proj.",
                 TIMM_STAGE("3") "downsample.proj.", TIMM_STAGE("4") "downsample.proj."},
    .positions = {NULL, TIMM_STAGE("1") "pos_emb.", TIMM_STAGE("2") "pos_emb.",
                  TIMM_STAGE("3") "pos_emb.", TIMM_STAGE("4") "pos_emb."},
    .branches = {.window = "conv_kxk.0",
                 .scale = "conv_scale",
                 .identity = "identity",
                 .merged = "reparam_conv",
                 .gamma = ".gamma"},
    .large = "large_conv",
    .large_merged = "reparam_conv",
    .position = "pos_enc",
    .mlp = "mlp.",
    .end = TIMM "final_conv.",
    .end_squeeze = {"se.fc1", "se.fc2"},
    .head = TIMM "head.fc",
};

#define APPLE "image_encoder.model."

/* Stages, what halves before them and positions are numbered in one row; there are four stages,
 * of which the last attends. */
const struct fastvit_names fastvit_names_apple = {
    .stem = APPLE "patch_embed.",
    .stages = {APPLE "network.0.", APPLE "network.2.", APPLE "network.4.", APPLE "network.7."},
    .halvings = {NULL, APPLE "network.1.proj.", APPLE "network.3.proj.", APPLE "network.5.proj."},
    .positions = {NULL, NULL, NULL, APPLE "network.6."},
    .branches = {.window = "rbr_conv.0",
                 .scale = "rbr_scale",
                 .identity = "rbr_skip",
                 .merged = "reparam_conv",
                 .gamma = ""},
    .large = "lkb_origin",
    .large_merged = "lkb_reparam",
    .position = "pe",
    .mlp = "convffn.",
    .end = APPLE "conv_exp.",
    .end_squeeze = {"se.reduce", "se.expand"},
    .head = APPLE "head.proj",
    .bare_head = true,
};
