/* Opening a checkpoint needs its packed weights and little more: what has been read of a file
 * is given back, and nothing is widened as a whole. A program of its own, because what is
 * measured is the most that the process ever had. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/bytes.h"
#include "core/checkpoint/architectures.h"
#include "core/kernels/gemm.h"
#include "core/kernels/isa.h"
#include "core/model/model.h"
#include "tests/support/program.h"

enum { BESIDES_MAX = 32 << 20, LANE_MAX = 16 << 20, BATCH = 8, CONTEXT = 77, VOCAB = 49408 };

/* A header of safetensors as it grows. */
struct header {
    struct buffer text;
    size_t data; /* bytes of all tensors so far */
};

static void add(struct header *header, const char *prefix, const char *name, size_t rows,
                size_t columns) {
    size_t size = rows * (columns ? columns : 1) * sizeof(float);
    char shape[48];
    if (columns)
        snprintf(shape, sizeof(shape), "[%zu,%zu]", rows, columns);
    else
        snprintf(shape, sizeof(shape), "[%zu]", rows);
    buffer_printf(&header->text, NULL,
                  "%s\"%s%s\":{\"dtype\":\"F32\",\"shape\":%s,\"data_offsets\":[%zu,%zu]}",
                  header->data ? "," : "{", prefix, name, shape, header->data, header->data + size);
    header->data += size;
}

static void add_tower(struct header *header, const char *pattern, uint32_t layers, size_t width,
                      size_t mlp_width) {
    for (uint32_t i = 0; i < layers; i++) {
        char prefix[64];
        snprintf(prefix, sizeof(prefix), "%stransformer.resblocks.%u.", pattern, i);
        add(header, prefix, "ln_1.weight", width, 0);
        add(header, prefix, "ln_1.bias", width, 0);
        add(header, prefix, "ln_2.weight", width, 0);
        add(header, prefix, "ln_2.bias", width, 0);
        add(header, prefix, "attn.in_proj_weight", 3 * width, width);
        add(header, prefix, "attn.in_proj_bias", 3 * width, 0);
        add(header, prefix, "attn.out_proj.weight", width, width);
        add(header, prefix, "attn.out_proj.bias", width, 0);
        add(header, prefix, "mlp.c_fc.weight", mlp_width, width);
        add(header, prefix, "mlp.c_fc.bias", mlp_width, 0);
        add(header, prefix, "mlp.c_proj.weight", width, mlp_width);
        add(header, prefix, "mlp.c_proj.bias", width, 0);
    }
}

/* A file of zeros, most of it a hole, which the kernel reads like any other. */
static void write_checkpoint(const char *path, const struct architecture *a) {
    struct header header = {.data = 0};
    size_t width = a->vision_width, side = a->image_size / a->patch_size;
    char patch[160];
    buffer_init(&header.text, 1 << 20);
    add(&header, "", "token_embedding.weight", VOCAB, a->text_width);
    add(&header, "", "positional_embedding", CONTEXT, a->text_width);
    add(&header, "", "text_projection", a->text_width, a->embed_dim);
    add(&header, "", "ln_final.weight", a->text_width, 0);
    add(&header, "", "ln_final.bias", a->text_width, 0);
    add(&header, "", "visual.class_embedding", width, 0);
    add(&header, "", "visual.positional_embedding", 1 + side * side, width);
    add(&header, "", "visual.proj", width, a->embed_dim);
    add(&header, "", "visual.ln_pre.weight", width, 0);
    add(&header, "", "visual.ln_pre.bias", width, 0);
    add(&header, "", "visual.ln_post.weight", width, 0);
    add(&header, "", "visual.ln_post.bias", width, 0);
    add_tower(&header, "visual.", a->vision_layers, width, a->vision_mlp);
    add_tower(&header, "", a->text_layers, a->text_width, 4 * (size_t)a->text_width);
    size_t size = width * 3 * a->patch_size * a->patch_size * sizeof(float);
    snprintf(patch, sizeof(patch),
             ",\"visual.conv1.weight\":{\"dtype\":\"F32\",\"shape\":[%zu,3,%u,%u],\"data_offsets\":"
             "[%zu,%zu]}}",
             width, a->patch_size, a->patch_size, header.data, header.data + size);
    buffer_append(&header.text, patch, strlen(patch), NULL);
    uint8_t length[8];
    for (int i = 0; i < 8; i++) length[i] = (uint8_t)(header.text.size >> (8 * i));
    FILE *out = fopen(path, "wb");
    ck_assert_ptr_nonnull(out);
    ck_assert_uint_eq(fwrite(length, 1, 8, out), 8);
    ck_assert_uint_eq(fwrite(header.text.data, 1, header.text.size, out), header.text.size);
    ck_assert_int_eq(fflush(out), 0);
    off_t whole = (off_t)(8 + header.text.size + header.data + size);
    ck_assert_int_eq(ftruncate(fileno(out), whole), 0);
    fclose(out);
    buffer_free(&header.text);
}

/* A line of /proc/self/status, in bytes. */
static size_t status_bytes(const char *name) {
    char line[256];
    size_t kib = 0;
    FILE *in = fopen("/proc/self/status", "r");
    ck_assert_ptr_nonnull(in);
    while (fgets(line, sizeof(line), in)) {
        if (!strncmp(line, name, strlen(name))) sscanf(line + strlen(name), ": %zu", &kib);
    }
    fclose(in);
    return kib * 1024;
}

/* Into a new file, whose name replaces the X's of `path`. */
static void make_checkpoint(char *path, const char *architecture) {
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    struct architecture a;
    ck_assert(architecture_named(&a, architecture));
    write_checkpoint(path, &a);
}

START_TEST(packed_weights_and_little_more) {
    char path[] = "/tmp/clipd-test-XXXXXX";
    make_checkpoint(path, "ViT-S-32");
    struct model_options options = {
        .path = path, .features = isa_detect(), .workers = 1, .precision = "fp32"};
    struct model *model = NULL;
    struct error err = ERROR_NONE;
    struct model_needs needs;
    size_t before = status_bytes("VmRSS");
    enum status status = model_measure(&needs, &options, &err);
    if (!status) status = model_open(&model, &options, &err);
    unlink(path);
    ck_assert_msg(!status, "%s", err.message);
    ck_assert_str_eq(model_info(model)->architecture, "ViT-S-32");
    size_t peak = status_bytes("VmHWM");
    ck_assert_uint_gt(needs.bytes, (size_t)200 << 20);
    ck_assert_msg(peak - before < needs.bytes + needs.bytes / 10 + BESIDES_MAX,
                  "%zu MiB, expected %zu MiB", (peak - before) >> 20, needs.bytes >> 20);
    model_close(model);
}
END_TEST

/* Of the parts of a server's memory beside the packed weights, the largest. */
START_TEST(a_worker_and_its_batch) {
    static const char *const precisions[] = {"fp32", "bf16", "int8"};
    char path[] = "/tmp/clipd-test-XXXXXX";
    make_checkpoint(path, "ViT-B-32");
    for (int i = 0; i < 3; i++) {
        struct model_options options = {.path = path,
                                        .features = isa_detect(),
                                        .workers = 1,
                                        .batch_max = BATCH,
                                        .precision = precisions[i]};
        struct model_needs one, two;
        ck_assert_int_eq(model_measure(&one, &options, NULL), STATUS_OK);
        options.workers = 2;
        ck_assert_int_eq(model_measure(&two, &options, NULL), STATUS_OK);
        ck_assert_msg(two.bytes - one.bytes <= LANE_MAX, "%s: %zu bytes", precisions[i],
                      two.bytes - one.bytes);
    }
    unlink(path);
}
END_TEST

int main(void) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    puts("skipped: a sanitizer has memory of its own");
    return 0;
#endif
    gemm_blas_init();
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, packed_weights_and_little_more);
    tcase_add_test(tests, a_worker_and_its_batch);
    return program_run("memory", tests, CK_NOFORK);
}
