/* Weights that are not numbers. */
#include "core/pack/pack.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "core/base/log.h"
#include "core/kernels/gemm.h"
#include "core/kernels/isa.h"
#include "core/model/model.h"
#include "core/weights/weights.h"
#include "tests/support/files.h"
#include "tests/support/folder.h"
#include "tests/support/program.h"

/* Where element `at` of a tensor lies in its file. */
static size_t offset_of(const char *path, const char *name, size_t at, size_t *size) {
    struct weights weights;
    struct tensors tensors;
    struct error err = ERROR_NONE;
    ck_assert_msg(!weights_open(&weights, path, &err), "%s", err.message);
    ck_assert_msg(!weights_parse(&tensors, &weights, &err), "%s", err.message);
    const struct tensor *tensor = tensors_find(&tensors, name);
    ck_assert_msg(tensor, "%s has no %s", path, name);
    *size = tensor_type_size(tensor->type);
    size_t elements = tensor_elements(tensor);
    size_t offset = (size_t)(tensor->data.data - weights.files[0].map.bytes.data);
    tensors_free(&tensors);
    weights_close(&weights);
    return offset + (at % elements) * *size;
}

/* The first and the last element of weights of every kind, in the ways in which they are read. */
START_TEST(not_finite) {
    static const char *const openai = "tests/golden/model/openai.safetensors",
                             *const half = "models/starter/model.safetensors",
                             *const resnet = "tests/golden/resnet/tinyclip.safetensors";
    const struct {
        const char *path, *tensor;
        uint32_t bits; /* little-endian, as many as its type has */
    } rows[] = {
        {openai, "visual.conv1.weight", 0x7f800000},
        {openai, "visual.positional_embedding", 0x7fc00000},
        {openai, "visual.class_embedding", 0xffc00000},
        {openai, "visual.proj", 0x7f800001},
        {openai, "token_embedding.weight", 0xff800000},
        {openai, "ln_final.bias", 0xff800000},
        {openai, "transformer.resblocks.1.attn.in_proj_bias", 0x7fc00000},
        {openai, "transformer.resblocks.1.mlp.c_proj.weight", 0x7fc00000},
        {half, "text_model.encoder.layers.1.self_attn.k_proj.weight", 0x7c00},
        {half, "vision_model.embeddings.patch_embedding.weight", 0xfe00},
        {resnet, "visual.layer1.0.conv1.weight", 0x7c00},
        {resnet, "visual.layer1.1.bn1.running_mean", 0xfc00},
    };
    char *folder = folder_make(), path[300];
    snprintf(path, sizeof(path), "%s/model.safetensors", folder);
    struct model_options options = {.path = path,
                                    .features = isa_detect(),
                                    .workers = 1,
                                    .precision = _i % 2 ? "int8" : "fp32",
                                    .head_width = 8};
    for (size_t last = 0; last < 2; last++) {
        size_t size, row = (size_t)_i;
        size_t offset = offset_of(rows[row].path, rows[row].tensor, last ? SIZE_MAX : 0, &size);
        struct buffer file = files_load(rows[row].path);
        memcpy(file.data + offset, &rows[row].bits, size);
        FILE *out = fopen(path, "wb");
        ck_assert_ptr_nonnull(out);
        ck_assert_uint_eq(fwrite(file.data, 1, file.size, out), file.size);
        fclose(out);
        buffer_free(&file);
        struct model *model = NULL;
        struct error err = ERROR_NONE;
        char message[200];
        ck_assert_int_eq(model_open(&model, &options, &err), STATUS_UNPROCESSABLE);
        snprintf(message, sizeof(message),
                 "tensor %s has a number that is infinite or not a number", rows[row].tensor);
        ck_assert_str_eq(err.message, message);
    }
    folder_remove(folder);
}
END_TEST

int main(void) {
    log_init(LOG_OFF, LOG_TEXT);
    gemm_blas_init();
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, not_finite, 0, 12);
    return program_run("pack", tests, CK_NOFORK);
}
