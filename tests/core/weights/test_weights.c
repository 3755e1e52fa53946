/* Shards and their index: put together as the index says, or refused by name. */
#include "core/weights/weights.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/files.h"
#include "tests/support/program.h"

#define SHARDED "tests/golden/torch/sharded/"

static char folder[] = "/tmp/clipd-test-XXXXXX";
static char index_path[64];

static void write_file(const char *name, const void *data, size_t size) {
    char *path = file_join(folder, name);
    FILE *out = fopen(path, "wb");
    ck_assert_ptr_nonnull(out);
    ck_assert_uint_eq(fwrite(data, 1, size, out), size);
    fclose(out);
    free(path);
}

/* A file of safetensors with one tensor of one byte. */
static void write_shard(const char *name, const char *tensor) {
    char header[128];
    uint8_t file[256] = {0};
    int size = snprintf(header, sizeof(header),
                        "{\"%s\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", tensor);
    file[0] = (uint8_t)size;
    memcpy(file + 8, header, (size_t)size);
    file[8 + size] = (uint8_t)name[0];
    write_file(name, file, 8 + (size_t)size + 1);
}

static enum status open_index(struct tensors *tensors, const char *json, struct error *err) {
    struct weights weights;
    write_file("index", json, strlen(json));
    *tensors = (struct tensors){.list = NULL};
    enum status status = weights_open(&weights, index_path, err);
    if (status) {
        ck_assert_ptr_null(weights.files);
        return status;
    }
    status = weights_parse(tensors, &weights, err);
    if (!status) ck_assert_int_eq(tensors->list[0].mapped, true);
    weights_close(&weights);
    return status;
}

static void set_up(void) {
    write_shard("a", "module.x");
    write_shard("b", "module.y");
    write_file("c", "PK\3\4", 4);
    snprintf(index_path, sizeof(index_path), "%s/index", folder);
}

static void tear_down(void) {
    static const char *const names[] = {"a", "b", "c", "index"};
    for (size_t i = 0; i < 4; i++) {
        char *path = file_join(folder, names[i]);
        unlink(path);
        free(path);
    }
}

START_TEST(together) {
    struct tensors tensors;
    struct error err = ERROR_NONE;
    enum status status =
        open_index(&tensors, "{\"weight_map\":{\"module.y\":\"b\",\"module.x\":\"a\"}}", &err);
    ck_assert_msg(!status, "%s", err.message);
    ck_assert_uint_eq(tensors.count, 2);
    ck_assert_ptr_nonnull(tensors_find(&tensors, "x"));
    ck_assert_ptr_nonnull(tensors_find(&tensors, "y"));
    tensors_free(&tensors);
}
END_TEST

START_TEST(refused) {
    static const struct {
        const char *json;
        enum status status;
        const char *message;
    } rows[] = {
        {"{", STATUS_UNPROCESSABLE, "index of shards line 1"},
        {"{}", STATUS_UNPROCESSABLE, "the index of shards has no weight_map"},
        {"{\"weight_map\":[]}", STATUS_UNPROCESSABLE, "the index of shards has no weight_map"},
        {"{\"weight_map\":{}}", STATUS_UNPROCESSABLE, "the index of shards names no tensors"},
        {"{\"weight_map\":{\"x\":1}}", STATUS_UNPROCESSABLE,
         "the file of tensor x is not a string"},
        {"{\"weight_map\":{\"x\":\"../a\"}}", STATUS_UNPROCESSABLE,
         "\"../a\" is not the name of a"},
        {"{\"weight_map\":{\"x\":\"/etc/passwd\"}}", STATUS_UNPROCESSABLE,
         "is not the name of a file"},
        {"{\"weight_map\":{\"x\":\"..\"}}", STATUS_UNPROCESSABLE,
         "\"..\" is not the name of a file"},
        {"{\"weight_map\":{\"x\":\"\"}}", STATUS_UNPROCESSABLE, "\"\" is not the name of a file"},
        {"{\"weight_map\":{\"x\":\"d\\\\a\"}}", STATUS_UNPROCESSABLE, "is not the name of a file"},
        {"{\"weight_map\":{\"x\":\"a\\nb\"}}", STATUS_UNPROCESSABLE, "is not the name of a file"},
        {"{\"weight_map\":{\"x\":\"missing\"}}", STATUS_NOT_FOUND, "missing"},
        {"{\"weight_map\":{\"module.x\":\"b\",\"module.y\":\"b\"}}", STATUS_UNPROCESSABLE,
         "tensor module.x is not in b, where the index of shards says it is"},
        {"{\"weight_map\":{\"x\":\"c\"}}", STATUS_UNPROCESSABLE,
         "c: the archive of 4 bytes has no"},
    };
    struct tensors tensors;
    struct error err = ERROR_NONE;
    ck_assert_int_eq(open_index(&tensors, rows[_i].json, &err), rows[_i].status);
    ck_assert_msg(strstr(err.message, rows[_i].message), "%s", err.message);
    ck_assert_uint_eq(tensors.count, 0);
}
END_TEST

START_TEST(one_tensor_in_two_shards) {
    struct tensors tensors;
    struct error err = ERROR_NONE;
    static const char two[] = "{\"x\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},"
                              "\"y\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}";
    uint8_t file[8 + sizeof(two)] = {sizeof(two) - 1};
    memcpy(file + 8, two, sizeof(two) - 1);
    write_file("a", file, 8 + sizeof(two) - 1);
    write_file("b", file, 8 + sizeof(two) - 1);
    ck_assert(open_index(&tensors, "{\"weight_map\":{\"x\":\"a\",\"y\":\"b\"}}", &err));
    ck_assert_str_eq(err.message, "there are two tensors x");
}
END_TEST

/* More shards than there may be: refused before any is opened. */
START_TEST(too_many_shards) {
    struct buffer json;
    struct tensors tensors;
    struct error err = ERROR_NONE;
    buffer_init(&json, 1 << 20);
    buffer_printf(&json, NULL, "{\"weight_map\":{");
    for (int i = 0; i < 1025; i++)
        buffer_printf(&json, NULL, "%s\"%d\":\"s%d\"", i ? "," : "", i, i);
    buffer_printf(&json, NULL, "}}");
    buffer_append(&json, "", 1, NULL);
    ck_assert_int_eq(open_index(&tensors, (char *)json.data, &err), STATUS_TOO_LARGE);
    buffer_free(&json);
}
END_TEST

/* As `cat model-*.safetensors | sha256sum` says. */
START_TEST(digest_and_identity) {
    struct weights weights, again;
    char hex[SHA256_HEX_SIZE], want[SHA256_HEX_SIZE];
    struct buffer all = files_load(SHARDED "model-00001-of-00002.safetensors");
    struct buffer second = files_load(SHARDED "model-00002-of-00002.safetensors");
    buffer_append(&all, second.data, second.size, NULL);
    sha256_hex(want, buffer_view(&all));
    ck_assert_int_eq(weights_open(&weights, SHARDED "model.safetensors.index.json", NULL),
                     STATUS_OK);
    ck_assert_int_eq(weights_digest(hex, &weights, NULL), STATUS_OK);
    ck_assert_str_eq(hex, want);
    ck_assert_int_eq(weights_open(&again, SHARDED "model.safetensors.index.json", NULL), STATUS_OK);
    ck_assert_mem_eq(weights.identity, again.identity, SHA256_SIZE);
    weights_close(&again);
    ck_assert_int_eq(weights_open(&again, SHARDED "model-00001-of-00002.safetensors", NULL),
                     STATUS_OK);
    ck_assert_mem_ne(weights.identity, again.identity, SHA256_SIZE);
    weights_close(&again);
    weights_close(&weights);
    buffer_free(&second);
    buffer_free(&all);
}
END_TEST

/* Prefixes go when all names have them, in whatever order they are nested. */
START_TEST(prefixes) {
    static const struct {
        const char *names[2], *want[2];
    } rows[] = {
        {{"module.a", "module.b"}, {"a", "b"}},
        {{"model.module._orig_mod.a", "model.module._orig_mod.b"}, {"a", "b"}},
        {{"module.a", "b"}, {"b", "module.a"}},
        {{"module.", "module.b"}, {"", "b"}},
        {{"modulea", "moduleb"}, {"modulea", "moduleb"}},
        /* Towers that transformers 5 saves alone. */
        {{"embeddings.token_embedding.weight", "final_layer_norm.bias"},
         {"text_model.embeddings.token_embedding.weight", "text_model.final_layer_norm.bias"}},
        {{"embeddings.patch_embedding.weight", "head.probe"},
         {"vision_model.embeddings.patch_embedding.weight", "vision_model.head.probe"}},
        {{"module.embeddings.patch_embedding.weight", "module.a"},
         {"vision_model.a", "vision_model.embeddings.patch_embedding.weight"}},
        {{"embeddings.word_embeddings.weight", "a"}, {"a", "embeddings.word_embeddings.weight"}},
    };
    struct tensors tensors = {.list = calloc(2, sizeof(*tensors.list)), .count = 2};
    for (size_t i = 0; i < 2; i++) tensors.list[i].name = strdup(rows[_i].names[i]);
    ck_assert_int_eq(tensors_sort_unique(&tensors, NULL), STATUS_OK);
    ck_assert_int_eq(tensors_strip(&tensors, NULL), STATUS_OK);
    for (size_t i = 0; i < 2; i++) ck_assert_str_eq(tensors.list[i].name, rows[_i].want[i]);
    tensors_free(&tensors);
}
END_TEST

int main(void) {
    if (!mkdtemp(folder)) return 1;
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, together);
    tcase_add_loop_test(tests, refused, 0, 14);
    tcase_add_test(tests, one_tensor_in_two_shards);
    tcase_add_test(tests, too_many_shards);
    tcase_add_test(tests, digest_and_identity);
    tcase_add_loop_test(tests, prefixes, 0, 9);
    int failed = program_run("weights", tests, CK_NOFORK);
    rmdir(folder);
    return failed;
}
