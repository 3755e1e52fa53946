/* Which files of a folder count. */
#include "core/checkpoint/checkpoint.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/files.h"
#include "tests/support/folder.h"
#include "tests/support/program.h"

static void write_file(const char *folder, const char *name, struct bytes content) {
    char path[300];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(content.data, 1, content.size, file), content.size);
    fclose(file);
}

static void copy_golden(const char *folder, const char *name) {
    char path[300];
    snprintf(path, sizeof(path), "tests/golden/model/hf/%s", name);
    struct buffer content = files_load(path);
    write_file(folder, name, buffer_view(&content));
    buffer_free(&content);
}

/* transformers 5 nests in processor_config.json what preprocessor_config.json had, and reads
 * nothing of the latter then. */
START_TEST(processor_config) {
    static const struct {
        const char *processor, *preprocessor; /* NULL: there is none */
        float mean, std;
        enum status status;
    } rows[] = {
        {NULL, NULL, 0.48145466f, 0.26862954f, STATUS_OK},
        {NULL, "{\"image_mean\":[1,1,1]}", 1, 0.26862954f, STATUS_OK},
        {"{\"image_processor\":{\"image_mean\":[2,2,2]}}", NULL, 2, 0.26862954f, STATUS_OK},
        {"{\"image_processor\":{\"image_mean\":[2,2,2]}}",
         "{\"image_mean\":[1,1,1],\"image_std\":[1,1,1]}", 2, 0.26862954f, STATUS_OK},
        {"{\"processor_class\":\"CLIPProcessor\"}", "{\"image_mean\":[1,1,1]}", 1, 0.26862954f,
         STATUS_OK},
        {"{\"processor_class\":\"CLIPProcessor\"}", NULL, 0.48145466f, 0.26862954f, STATUS_OK},
        {"{\"image_processor\":{\"image_mean\":2}}", NULL, 0, 0, STATUS_UNPROCESSABLE},
        {"{\"image_processor\":[]}", "{}", 0, 0, STATUS_UNPROCESSABLE},
    };
    char *folder = folder_make();
    struct checkpoint checkpoint, plain;
    struct error err = ERROR_NONE;
    copy_golden(folder, "config.json");
    copy_golden(folder, "model.safetensors");
    ck_assert_int_eq(checkpoint_read(&plain, folder, NULL), STATUS_OK);
    if (rows[_i].processor)
        write_file(folder, "processor_config.json", bytes_of(rows[_i].processor));
    if (rows[_i].preprocessor)
        write_file(folder, "preprocessor_config.json", bytes_of(rows[_i].preprocessor));
    enum status status = checkpoint_read(&checkpoint, folder, &err);
    ck_assert_msg(status == rows[_i].status, "%d: %s", status, err.message);
    if (!status) {
        ck_assert_float_eq(checkpoint.config.preprocess.mean[0], rows[_i].mean);
        ck_assert_float_eq(checkpoint.config.preprocess.std[0], rows[_i].std);
        bool same = !memcmp(checkpoint.config_digest, plain.config_digest, SHA256_SIZE);
        ck_assert(same == (_i == 0)); /* what is read is a part of what the packed file is of */
        weights_close(&checkpoint.weights);
    }
    weights_close(&plain.weights);
    folder_remove(folder);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("all");
    tcase_add_loop_test(tests, processor_config, 0, 8);
    return program_run("checkpoint", tests, CK_NOFORK);
}
