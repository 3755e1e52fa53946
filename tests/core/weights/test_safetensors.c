/* Each rule of the format on its own: a file that keeps it and one that breaks it. */
#include "core/weights/safetensors.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/program.h"

enum { FILE_MAX = 4096 };

/* A file of this header and `data_size` bytes 0, 1, 2 ... at an odd address. */
struct file {
    uint8_t memory[FILE_MAX];
    struct bytes bytes;
};

static void build(struct file *out, const char *header, size_t data_size) {
    size_t length = strlen(header);
    uint8_t *at = out->memory + 1;
    ck_assert_uint_lt(1 + 8 + length + data_size, FILE_MAX);
    for (int i = 0; i < 8; i++) at[i] = (uint8_t)(length >> (8 * i));
    for (size_t i = 0; i < length; i++) at[8 + i] = (uint8_t)header[i];
    for (size_t i = 0; i < data_size; i++) at[8 + length + i] = (uint8_t)i;
    out->bytes = (struct bytes){.data = at, .size = 8 + length + data_size};
}

static enum status parse(const char *header, size_t data_size, struct error *err) {
    struct file file;
    struct tensors tensors;
    build(&file, header, data_size);
    /* An exact copy, so that a sanitizer sees every byte read behind the end. */
    uint8_t *copy = malloc(file.bytes.size);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, file.bytes.data, file.bytes.size);
    enum status status = safetensors_parse(&tensors, (struct bytes){copy, file.bytes.size}, err);
    if (status) {
        ck_assert_uint_eq(tensors.count, 0);
        ck_assert_ptr_null(tensors.list);
    }
    tensors_free(&tensors);
    free(copy);
    return status;
}

#define TENSOR(name, type, shape, begin, end)                                                      \
    "\"" name "\":{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":[" begin "," end "]}"

START_TEST(accepted) {
    static const struct {
        const char *header;
        size_t data_size;
    } rows[] = {
        {"{}", 0},
        {"{}        ", 0},
        {"{\"__metadata__\":{}}", 0},
        {"{\"__metadata__\":{\"format\":\"pt\"}}", 0},
        {"{" TENSOR("scalar", "F32", "[]", "0", "4") "}", 4},
        {"{" TENSOR("empty", "F32", "[0]", "0", "0") "}", 0},
        {"{" TENSOR("empty", "I64", "[3,0,5]", "0", "0") "}", 0},
        {"{" TENSOR("b", "F16", "[2]", "4", "8") "," TENSOR("a", "I32", "[1]", "0", "4") "}", 8},
        {"{" TENSOR("b", "U8", "[2]", "0", "2") "," TENSOR("a", "F32", "[0]", "2", "2") "}", 2},
        {"{" TENSOR("x", "F64", "[1]", "0", "8") "}", 8},
        {"{" TENSOR("x", "BF16", "[1]", "0", "2") "}", 2},
        {"{" TENSOR("x", "I64", "[1]", "0", "8") "}", 8},
        {"{" TENSOR("x", "I16", "[1]", "0", "2") "}", 2},
        {"{" TENSOR("x", "I8", "[1]", "0", "1") "}", 1},
        {"{" TENSOR("x", "BOOL", "[1]", "0", "1") "}", 1},
        {"{" TENSOR("x", "U8", "[1,1,1,1,1,1,1,1]", "0", "1") "}", 1},
        {"{" TENSOR("\\u00e9 \xc3\xa9", "U8", "[1]", "0", "1") "}", 1},
    };
    struct error err = ERROR_NONE;
    ck_assert_msg(parse(rows[_i].header, rows[_i].data_size, &err) == STATUS_OK, "%s: %s",
                  rows[_i].header, err.message);
}
END_TEST

START_TEST(refused) {
    static const struct {
        const char *header;
        size_t data_size;
        const char *message;
    } rows[] = {
        {"", 0, "not safetensors: the header is no JSON object"},
        {" {}", 0, "not safetensors: the header is no JSON object"},
        {"[]", 0, "not safetensors: the header is no JSON object"},
        {"{", 0, "safetensors header, byte 1: "},
        {"{} {}", 0, "safetensors header"},
        {"{\"\xff\":{}}", 0, "safetensors header"},
        {"{\"__metadata__\":[]}", 0, "__metadata__ is not an object"},
        {"{\"__metadata__\":{\"format\":1}}", 0, "__metadata__ format is not a string"},
        {"{\"x\":1}", 0, "tensor x: dtype, shape and data_offsets are expected"},
        {"{\"x\":{}}", 0, "tensor x: dtype, shape and data_offsets are expected"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[]}}", 0, "tensor x: dtype, shape and"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0]}}", 0, "tensor x: dtype,"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1,1]}}", 1, "tensor x: dtype,"},
        {"{" TENSOR("x\\u001b]0;", "U8", "[1]", "0", "1") "}", 1,
         "tensor \"x\033]0;\" has a name of 5 bytes or with control characters"},
        {"{" TENSOR("x\\u007f", "U8", "[1]", "0", "1") "}", 1, "tensor \"x\177\" has a name of 2"},
        {"{" TENSOR("x", "F8_E4M3", "[1]", "0", "1") "}", 1,
         "tensor x has type F8_E4M3, which is not supported"},
        {"{" TENSOR("x", "f32", "[1]", "0", "4") "}", 4, "tensor x has type f32, which is not"},
        {"{" TENSOR("x", "U8", "[1,1,1,1,1,1,1,1,1]", "0", "1") "}", 1,
         "tensor x has 9 dimensions, at most 8 are supported"},
        {"{" TENSOR("x", "U8", "[-1]", "0", "1") "}", 1,
         "tensor x: a dimension is not a whole number"},
        {"{" TENSOR("x", "U8", "[1.0]", "0", "1") "}", 1,
         "tensor x: a dimension is not a whole number"},
        {"{" TENSOR("x", "U8", "[\"1\"]", "0", "1") "}", 1,
         "tensor x: a dimension is not a whole number"},
        {"{" TENSOR("x", "U8", "[4294967296,4294967296]", "0", "0") "}", 0,
         "tensor x is impossibly large"},
        {"{" TENSOR("x", "F64", "[2305843009213693952]", "0", "0") "}", 0,
         "tensor x is impossibly large"},
        {"{" TENSOR("x", "U8", "[18446744073709551616]", "0", "0") "}", 0, "safetensors header"},
        {"{" TENSOR("x", "U8", "[2]", "0", "1") "}", 1,
         "tensor x: data_offsets span 1 bytes, shape and type need 2"},
        {"{" TENSOR("x", "F32", "[1]", "0", "3") "}", 3,
         "tensor x: data_offsets span 3 bytes, shape and type need 4"},
        {"{" TENSOR("x", "U8", "[2]", "0", "2") "}", 1,
         "tensor x: data_offsets are not within the file's 1 bytes of data"},
        {"{" TENSOR("x", "U8", "[1]", "1", "0") "}", 1, "tensor x: data_offsets are not within"},
        {"{" TENSOR("x", "U8", "[1]", "-1", "0") "}", 1, "tensor x: data_offsets are not within"},
        {"{" TENSOR("x", "U8", "[1]", "0.0", "1") "}", 1, "tensor x: data_offsets are not within"},
        {"{" TENSOR("x", "U8", "[1]", "0", "9223372036854775807") "}", 1,
         "tensor x: data_offsets are not within"},
        {"{" TENSOR("x", "U8", "[1]", "1", "2") "}", 2,
         "tensor x begins at byte 1 of the data, 0 is expected"},
        {"{" TENSOR("a", "U8", "[1]", "0", "1") "," TENSOR("b", "U8", "[1]", "2", "3") "}", 3,
         "tensor b begins at byte 2 of the data, 1 is expected"},
        {"{" TENSOR("a", "U8", "[2]", "0", "2") "," TENSOR("b", "U8", "[2]", "1", "3") "}", 3,
         "tensor b begins at byte 1 of the data, 2 is expected"},
        {"{" TENSOR("x", "U8", "[1]", "0", "1") "}", 2,
         "the tensors end at byte 1 of 2 bytes of data"},
        {"{}", 1, "the tensors end at byte 0 of 1 bytes of data"},
        {"{" TENSOR("x", "U8", "[0]", "0", "0") "," TENSOR("x", "U8", "[0]", "0", "0") "}", 0,
         "safetensors header"},
        {"{\"x\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0,
         "safetensors header"},
        {"{\"a\\u0000b\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0,
         "safetensors header"},
    };
    struct error err = ERROR_NONE;
    ck_assert_msg(parse(rows[_i].header, rows[_i].data_size, &err), "%s", rows[_i].header);
    ck_assert_msg(!strncmp(err.message, rows[_i].message, strlen(rows[_i].message)), "%s: %s",
                  rows[_i].header, err.message);
}
END_TEST

START_TEST(length_of_a_name) {
    for (int size = TENSOR_NAME_MAX; size <= TENSOR_NAME_MAX + 1; size++) {
        char header[512];
        struct error err = ERROR_NONE;
        snprintf(header, sizeof(header), "{\"%0*d\":%s}", size, 0,
                 "{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}");
        bool fits = size <= TENSOR_NAME_MAX;
        ck_assert_int_eq(parse(header, 1, &err), fits ? STATUS_OK : STATUS_UNPROCESSABLE);
        ck_assert(fits || strstr(err.message, "has a name of 256 bytes"));
    }
}
END_TEST

START_TEST(length_of_the_header) {
    static const struct {
        uint64_t length;
        size_t size;
    } rows[] = {{0, 0},           {0, 7},  {0, 8},          {1, 8},
                {UINT64_MAX, 16}, {9, 16}, {100000001, 16}, {INT64_MAX, 16}};
    uint8_t file[16] = "\0\0\0\0\0\0\0\0{}      ";
    for (int i = 0; i < 8; i++) file[i] = (uint8_t)(rows[_i].length >> (8 * i));
    uint8_t *copy = malloc(rows[_i].size + 1);
    struct tensors tensors;
    struct error err = ERROR_NONE;
    memcpy(copy, file, rows[_i].size);
    ck_assert_int_eq(safetensors_parse(&tensors, (struct bytes){copy, rows[_i].size}, &err),
                     STATUS_UNPROCESSABLE);
    ck_assert_msg(!strncmp(err.message, "not safetensors: ", 17), "%s", err.message);
    free(copy);
}
END_TEST

/* The largest header that may be, and one byte more. */
START_TEST(largest_header) {
    const size_t limit = 100000000;
    uint8_t *file = malloc(8 + limit + 1);
    ck_assert_ptr_nonnull(file);
    memset(file + 8, ' ', limit + 1);
    file[8] = '{';
    file[9] = '}';
    for (size_t over = 0; over <= 1; over++) {
        struct tensors tensors;
        size_t length = limit + over;
        for (int i = 0; i < 8; i++) file[i] = (uint8_t)(length >> (8 * i));
        enum status status = safetensors_parse(&tensors, (struct bytes){file, 8 + length}, NULL);
        ck_assert_int_eq(status, over ? STATUS_UNPROCESSABLE : STATUS_OK);
        tensors_free(&tensors);
    }
    free(file);
}
END_TEST

/* Two bytes of text each, and a hundred of memory. */
START_TEST(many_values) {
    enum { COUNT = 1 << 20, ROOM = 3 * COUNT + 64 };
    char *header = malloc(ROOM);
    ck_assert_ptr_nonnull(header);
    size_t length = (size_t)snprintf(header, ROOM, "........{\"a\":[") - 8;
    for (size_t i = 0; i < COUNT / 2; i++)
        length += (size_t)snprintf(header + 8 + length, 8, "%s[]", i ? "," : "");
    length += (size_t)snprintf(header + 8 + length, 8, "]}");
    for (int i = 0; i < 8; i++) header[i] = (char)(length >> (8 * i));
    struct tensors tensors;
    struct error err = ERROR_NONE;
    ck_assert_int_eq(
        safetensors_parse(&tensors, (struct bytes){(uint8_t *)header, 8 + length}, &err),
        STATUS_TOO_LARGE);
    ck_assert_str_eq(err.message, "the safetensors header has more than 1048576 JSON values");
    free(header);
}
END_TEST

START_TEST(contents) {
    struct file file;
    struct tensors tensors;
    build(&file,
          "{" TENSOR("b.x", "U8", "[2,3]", "4", "10") "," TENSOR(
              "a", "F32", "[1]", "0", "4") "," TENSOR("b", "I16", "[]", "10", "12") "}",
          12);
    ck_assert_int_eq(safetensors_parse(&tensors, file.bytes, NULL), STATUS_OK);
    ck_assert_uint_eq(tensors.count, 3);
    const struct tensor *tensor = tensors_find(&tensors, "b.x");
    char text[32];
    ck_assert_ptr_nonnull(tensor);
    ck_assert_int_eq(tensor->type, TENSOR_U8);
    ck_assert_uint_eq(tensor->rank, 2);
    ck_assert_uint_eq(tensor->shape[1], 3);
    ck_assert_uint_eq(tensor->data.size, 6);
    ck_assert_uint_eq(tensor->data.data[0], 4);
    tensor_shape_text(tensor, text, sizeof(text));
    ck_assert_str_eq(text, "[2, 3]");
    tensor_shape_text(tensor, text, 4);
    ck_assert_str_eq(text, "[2,");
    ck_assert_ptr_null(tensors_find(&tensors, "b."));
    ck_assert_ptr_null(tensors_find(&tensors, "c"));
    ck_assert(tensors_any_with_prefix(&tensors, "b."));
    ck_assert(!tensors_any_with_prefix(&tensors, "b.y"));
    tensors_free(&tensors);
}
END_TEST

/* All half precision numbers against their definition. */
START_TEST(half_precision) {
    uint8_t data[2];
    struct tensor tensor = {.type = TENSOR_F16, .data = {data, 2}};
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        float got;
        int exponent = (int)(bits >> 10 & 31);
        double fraction = (bits & 1023) / 1024.0;
        double want = exponent ? ldexp(1 + fraction, exponent - 15) : ldexp(fraction, -14);
        if (exponent == 31) want = bits & 1023 ? (double)NAN : (double)INFINITY;
        if (bits & 0x8000) want = -want;
        data[0] = (uint8_t)bits;
        data[1] = (uint8_t)(bits >> 8);
        tensor_widen(&got, &tensor, 0, 1);
        ck_assert(isnan(want) ? isnan(got)
                              : (double)got == want && !signbit(got) == !signbit(want));
        tensor.type = TENSOR_BF16;
        tensor_widen(&got, &tensor, 0, 1);
        uint32_t wide;
        memcpy(&wide, &got, sizeof(wide));
        ck_assert_uint_eq(wide, bits << 16);
        tensor.type = TENSOR_F16;
    }
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, accepted, 0, 17);
    tcase_add_loop_test(tests, refused, 0, 39);
    tcase_add_test(tests, length_of_a_name);
    tcase_add_loop_test(tests, length_of_the_header, 0, 8);
    tcase_add_test(tests, largest_header);
    tcase_add_test(tests, many_values);
    tcase_add_test(tests, contents);
    tcase_add_test(tests, half_precision);
    return program_run("safetensors", tests, CK_NOFORK);
}
