/* Whole files of PyTorch: what each form gives, and hostile ones, each refused for its reason.
 * The hostile ones are made here: a pickle of one tensor and an archive around it. */
#include "core/weights/pytorch.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/kernels/isa.h"
#include "core/model/model.h"
#include "tests/support/archive.h"
#include "tests/support/files.h"
#include "tests/support/program.h"

#define SEEDS "tests/fuzz/corpus/pytorch/"

/* ---- files that are right ---- */

static void check_bytes(const struct tensors *tensors, const char *name, const char *shape,
                        const void *want, size_t size) {
    const struct tensor *tensor = tensors_find(tensors, name);
    char text[64];
    ck_assert_msg(tensor, "%s is missing", name);
    tensor_shape_text(tensor, text, sizeof(text));
    ck_assert_str_eq(text, shape);
    ck_assert_uint_eq(tensor->data.size, size);
    ck_assert_mem_eq(tensor->data.data, want, size);
}

/* The seeds have the same tensors: half precision 0 to 11 in two storages' views. */
static void check_seed(const char *path) {
    uint8_t half[24], turned[24], zeros[8] = {0};
    for (uint8_t i = 0; i < 24; i++) half[i] = i;
    for (size_t row = 0; row < 4; row++) {
        for (size_t column = 0; column < 3; column++) {
            memcpy(turned + 2 * (row * 3 + column), half + 2 * (column * 4 + row), 2);
        }
    }
    struct buffer file = files_load(path);
    struct tensors tensors;
    struct error err = ERROR_NONE;
    ck_assert(pytorch_sniff(buffer_view(&file)));
    ck_assert_msg(!pytorch_parse(&tensors, buffer_view(&file), &err), "%s: %s", path, err.message);
    ck_assert_uint_eq(tensors.count, 7);
    ck_assert_int_eq(tensors_find(&tensors, "a")->type, TENSOR_F16);
    ck_assert_int_eq(tensors_find(&tensors, "scalar")->type, TENSOR_F32);
    check_bytes(&tensors, "a", "[3, 4]", half, 24);
    check_bytes(&tensors, "turned", "[4, 3]", turned, 24);
    check_bytes(&tensors, "row", "[4]", half + 8, 8);
    check_bytes(&tensors, "typed", "[2, 2]", half, 8);
    check_bytes(&tensors, "scalar", "[]", zeros, 4);
    check_bytes(&tensors, "wrapped", "[2]", zeros, 8);
    check_bytes(&tensors, "empty", "[0, 3]", zeros, 0);
    tensors_free(&tensors);
    buffer_free(&file);
}

START_TEST(every_form) {
    check_seed(SEEDS "archive");
    check_seed(SEEDS "archive_4");
    check_seed(SEEDS "module");
    check_seed(SEEDS "legacy");
}
END_TEST

/* ---- hostile files ---- */

/* A pickle whose tensors say what the test wants; "@" stands for a storage ('storage',
 * torch.FloatStorage, '0', 'cpu', 4), "$" for the callee torch._utils._rebuild_tensor_v2. */
static struct buffer make_pickle(const char *text, size_t size) {
    static const char storage[] = "(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0"
                                  "0X\3\0\0\0cpuK\4tQ";
    static const char callee[] = "ctorch._utils\n_rebuild_tensor_v2\n";
    struct buffer out;
    buffer_init(&out, 1 << 20);
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '@')
            buffer_append(&out, storage, sizeof(storage) - 1, NULL);
        else if (text[i] == '$')
            buffer_append(&out, callee, sizeof(callee) - 1, NULL);
        else
            buffer_append(&out, text + i, 1, NULL);
    }
    return out;
}

static void make_archive(struct buffer *out, const char *text, size_t size) {
    struct buffer pickle = make_pickle(text, size);
    struct archive_entry entries[] = {{"x/data.pkl", buffer_view(&pickle)},
                                      {"x/data/0", bytes_of("0123456789abcdef")}};
    archive_build(out, entries, 2);
    buffer_free(&pickle);
}

static enum status parse_copy(struct bytes file, struct error *err) {
    uint8_t *copy = malloc(file.size + 1);
    struct tensors tensors;
    ck_assert_ptr_nonnull(copy);
    if (file.size) memcpy(copy, file.data, file.size);
    enum status status = pytorch_parse(&tensors, (struct bytes){copy, file.size}, err);
    volatile uint8_t sink = 0;
    for (size_t i = 0; !status && i < tensors.count; i++) {
        struct bytes data = tensors.list[i].data;
        for (size_t k = 0; k < data.size; k++) sink = (uint8_t)(sink + data.data[k]);
    }
    tensors_free(&tensors);
    free(copy);
    return status;
}

struct text {
    const char *data;
    size_t size;
};
#define TEXT(literal)                                                                              \
    { literal, sizeof(literal) - 1 }
/* {'w': the tensor of these arguments} */
#define TENSOR(arguments) TEXT("}X\1\0\0\0w$(" arguments "tRs.")
#define HOOKS "\x89)"

START_TEST(views) {
    static const struct text rows[] = {
        TENSOR("@K\0K\4\x85K\1\x85" HOOKS),         /* all of it */
        TENSOR("@K\3K\1\x85K\1\x85" HOOKS),         /* the last element */
        TENSOR("@K\0K\2K\2\x86K\1K\2\x86" HOOKS),   /* transposed */
        TENSOR("@K\4K\0\x85K\1\x85" HOOKS),         /* empty */
        TENSOR("@K\0))" HOOKS),                     /* a scalar */
        TENSOR("@K\0K\1K\4\x86K\x63K\1\x86" HOOKS), /* a stride that does not matter */
    };
    struct buffer archive;
    struct error err = ERROR_NONE;
    make_archive(&archive, rows[_i].data, rows[_i].size);
    ck_assert_msg(!parse_copy(buffer_view(&archive), &err), "%s", err.message);
    buffer_free(&archive);
}
END_TEST

#define STORAGE(type, key, count)                                                                  \
    "(X\7\0\0\0storagectorch\n" type "\nX\1\0\0\0" key "X\3\0\0\0cpu" count "tQ"

static const struct {
    struct text pickle;
    const char *message;
} hostile[] = {
    /* bad sizes */
    {TENSOR("@K\1K\4\x85K\1\x85" HOOKS),
     "tensor w of shape [4] does not lie within its storage of 16"},
    {TENSOR("@K\0K\5\x85K\1\x85" HOOKS), "tensor w of shape [5] does not lie within its storage"},
    {TENSOR("@K\0K\2K\3\x86K\3K\1\x86" HOOKS), "tensor w of shape [2, 3] does not lie within its"},
    {TENSOR("@K\0K\5\x85K\0\x85" HOOKS), "tensor w of shape [5] does not lie within its storage"},
    {TENSOR("@J\xff\xff\xff\xffK\4\x85K\1\x85" HOOKS), "tensor w: an offset, a shape and strides"},
    {TENSOR("@K\0J\xff\xff\xff\xff\x85K\1\x85" HOOKS), "tensor w: an offset, a shape and strides"},
    {TENSOR("@K\0K\4\x85J\xff\xff\xff\xff\x85" HOOKS), "tensor w: an offset, a shape and strides"},
    {TENSOR("@\x8a\x8\xff\xff\xff\xff\xff\xff\xff\x7fK\4\x85K\1\x85" HOOKS), "does not lie within"},
    {TENSOR("@K\0\x8a\x8\xff\xff\xff\xff\xff\xff\xff\x7fK\4\x86K\1K\1\x86" HOOKS), "tensor w: an"},
    {TENSOR("@K\0K\4\x85\x8a\x8\xff\xff\xff\xff\xff\xff\xff\x7f\x85" HOOKS), "does not lie within"},
    {TENSOR("@K\0K\4\x85K\1K\1\x86" HOOKS), "tensor w: an offset, a shape and strides"},
    {TENSOR("@K\0(K\1K\1K\1K\1K\1K\1K\1K\1K\1t(K\1K\1K\1K\1K\1K\1K\1K\1K\1t" HOOKS), "at most 8"},
    {TENSOR("@K\0K\4K\1" HOOKS), "tensor w: an offset, a shape and strides"},
    {TENSOR("@"), "tensor w: an offset, a shape and strides"},
    {TENSOR("K\0K\0K\4\x85K\1\x85" HOOKS), "tensor w has no storage of a known form"},
    {TENSOR(""), "tensor w has no storage of a known form"},
    {TENSOR(STORAGE("FloatStorage", "0", "K\5") "K\0K\4\x85K\1\x85" HOOKS),
     "tensor w has 16 bytes of data in the file, 5 elements of 4 bytes are expected"},
    {TENSOR(STORAGE("FloatStorage", "0",
                    "\x8a\x8\xff\xff\xff\xff\xff\xff\xff\x7f") "K\0K\4\x85K\1\x85" HOOKS),
     "tensor w has 16 bytes of data in the file"},
    {TENSOR(STORAGE("FloatStorage", "0", "J\xff\xff\xff\xff") "K\0K\4\x85K\1\x85" HOOKS),
     "tensor w has no storage"},
    {TENSOR(STORAGE("ComplexFloatStorage", "0", "K\2") "K\0K\2\x85K\1\x85" HOOKS),
     "tensor w has type ComplexFloatStorage, which is not supported"},
    /* path tricks: keys are compared and go nowhere */
    {TENSOR(STORAGE("FloatStorage", "1", "K\4") "K\0K\4\x85K\1\x85" HOOKS),
     "tensor w has no data: storage 1 is missing"},
    {TENSOR("(X\7\0\0\0storagectorch\nFloatStorage\nX\x9\0\0\0../data/"
            "0X\3\0\0\0cpuK\4tQK\0K\4\x85K\1\x85" HOOKS),
     "tensor w has no data: storage ../data/0 is missing"},
    {TENSOR("(X\7\0\0\0storagectorch\nFloatStorage\nX\xb\0\0\0/etc/"
            "passwdX\3\0\0\0cpuK\4tQK\0K\4\x85K\1\x85" HOOKS),
     "tensor w has no data: storage /etc/passwd is missing"},
    {TEXT("}X\2\0\0\0a\n$(@K\0K\4\x85K\1\x85" HOOKS "tRs."), "or with control characters"},
    /* two stories of one storage */
    {TEXT("}X\1\0\0\0w$(@K\0K\4\x85K\1\x85" HOOKS
          "tRsX\1\0\0\0v$(" STORAGE("HalfStorage", "0", "K\x8") "K\0K\4\x85K\1\x85" HOOKS "tRs."),
     "storage 0 has 4 and 8 elements, or two types"},
    {TEXT("}X\1\0\0\0w$(@K\0K\4\x85K\1\x85" HOOKS "tRsX\1\0\0\0w$(@K\0K\4\x85K\1\x85" HOOKS "tRs."),
     "there are two tensors w"},
    /* nothing to be had */
    {TEXT("}."), "the pickle has no tensors"},
    {TEXT("N."), "the pickle has no tensors"},
    {TEXT("cos\nsystem\nX\x4\0\0\0halt\x85R."), "the pickle has no tensors"},
    {TEXT("cos\nsystem\n."), "the pickle has no tensors"},
    {TEXT("}q\0X\1\0\0\0ah\0s."), "the pickle has no tensors"},
    /* unknown instructions */
    {TEXT("(S'ls'\nios\nsystem\n."), "instruction 0x53 is none that weights need"},
    /* modules within themselves */
    {TEXT("ca\nB\n)\x81q\0}X\1\0\0\0mh\0sb."), "modules are nested more than 64 deep at m.m.m."},
};

START_TEST(hostile_pickles) {
    struct buffer archive;
    struct error err = ERROR_NONE;
    make_archive(&archive, hostile[_i].pickle.data, hostile[_i].pickle.size);
    ck_assert_msg(parse_copy(buffer_view(&archive), &err), "%s", hostile[_i].message);
    ck_assert_msg(strstr(err.message, hostile[_i].message), "%s, not %s", err.message,
                  hostile[_i].message);
    buffer_free(&archive);
}
END_TEST

/* Modules that have the same module twice, thirty deep: 2^30 paths. */
START_TEST(bombs) {
    struct buffer pickle, archive;
    struct error err = ERROR_NONE;
    buffer_init(&pickle, 1 << 20);
    buffer_append(&pickle, "(", 1, NULL);
    for (int i = 0; i < 31; i++) {
        static const char level[] = "ca\nB\n)\x81\x94}(X\1\0\0\0lh\0X\1\0\0\0rh\0ub";
        size_t at = pickle.size;
        buffer_append(&pickle, level, i ? sizeof(level) - 1 : 8, NULL);
        for (size_t k = at + 8; k < pickle.size; k++) {
            if (pickle.data[k] == 'h') pickle.data[k + 1] = (uint8_t)(i - 1);
        }
    }
    buffer_append(&pickle, "1h\x1e.", 4, NULL);
    make_archive(&archive, (char *)pickle.data, pickle.size);
    ck_assert_int_eq(parse_copy(buffer_view(&archive), &err), STATUS_TOO_LARGE);
    ck_assert_msg(strstr(err.message, "items to look at"), "%s", err.message);
    buffer_free(&archive);
    buffer_free(&pickle);
}
END_TEST

/* Nine views of [128, 128] with these strides, each of the whole storage of 64 KiB. */
static enum status parse_views(const char strides[2], struct error *err) {
    struct buffer pickle, archive;
    buffer_init(&pickle, 1 << 20);
    buffer_append(&pickle, "}", 1, NULL);
    /* By reference from the second on. */
    static const char first[] = "X\2\0\0\0"
                                "00ctorch._utils\n_rebuild_tensor_v2\nq\0((X\7\0\0\0storage"
                                "ctorch\nFloatStorage\nX\1\0\0\0"
                                "0X\3\0\0\0cpuM\0@tQq\1K\0K\x80K\x80\x86q\2"
                                "K\1K\x80\x86q\3" HOOKS "tRs";
    static const char more[] = "X\2\0\0\0"
                               "00h\0(h\1K\0h\2h\3" HOOKS "tRs";
    buffer_append(&pickle, first, sizeof(first) - 1, NULL);
    uint8_t *tuple = memmem(pickle.data, pickle.size, "K\1K\x80\x86q\3", 7);
    ck_assert_ptr_nonnull(tuple);
    tuple[1] = (uint8_t)strides[0];
    tuple[3] = (uint8_t)strides[1];
    for (int i = 1; i < 9; i++) {
        size_t at = pickle.size;
        buffer_append(&pickle, more, sizeof(more) - 1, NULL);
        pickle.data[at + 6] = (uint8_t)('0' + i);
    }
    buffer_append(&pickle, ".", 1, NULL);
    uint8_t *zeros = calloc(1, 65536);
    struct archive_entry entries[] = {{"x/data.pkl", buffer_view(&pickle)},
                                      {"x/data/0", {zeros, 65536}}};
    archive_build(&archive, entries, 2);
    enum status status = parse_copy(buffer_view(&archive), err);
    free(zeros);
    buffer_free(&archive);
    buffer_free(&pickle);
    return status;
}

START_TEST(views_beyond_the_file) {
    static const struct {
        const char *strides, *message;
    } rows[] = {
        {"\1\x80", "tensor 01: the tensors that are not contiguous are larger than the file"},
        {"\x80\1", "tensor 08: the tensors are more than 8 times as large as the file"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct error err = ERROR_NONE;
        ck_assert_int_eq(parse_views(rows[i].strides, &err), STATUS_TOO_LARGE);
        ck_assert_str_eq(err.message, rows[i].message);
    }
}
END_TEST

#define ROOT "a folder with a name that is longer than most buffers on a stack would be"

START_TEST(archives_of_others) {
    static const struct {
        const char *first, *second, *message;
    } rows[] = {
        {"x/data/0", NULL, "0 of its 1 entries are a data.pkl"},
        {"data.pkl", NULL, "0 of its 1 entries are a data.pkl"},
        {"x/y/data.pkl", NULL, "0 of its 1 entries are a data.pkl"},
        {"x/data.pkl", "y/data.pkl", "2 of its 2 entries are a data.pkl"},
        {"x/data.pkl", "x/byteorder", "the numbers in the archive are not little-endian"},
        {ROOT "/data.pkl", ROOT "/byteorder", "the numbers in the archive are not little-endian"},
    };
    struct archive_entry entries[] = {{rows[_i].first, bytes_of("big")},
                                      {rows[_i].second, bytes_of("big")}};
    struct buffer archive;
    struct error err = ERROR_NONE;
    archive_build(&archive, entries, rows[_i].second ? 2 : 1);
    ck_assert(parse_copy(buffer_view(&archive), &err));
    ck_assert_msg(strstr(err.message, rows[_i].message), "%s", err.message);
    buffer_free(&archive);
}
END_TEST

START_TEST(older_files) {
    static const struct {
        struct text file;
        const char *message;
    } rows[] = {
        {TEXT("\x80\2K\1."), "no magic number"},
        {TEXT("\x80\2\x8a\nl\xfc\x9c"
              "F\xf9 j\xa8P\x18."),
         "no magic number"},
        {TEXT("\x80\2\x8a\nl\xfc\x9c"
              "F\xf9 j\xa8P\x19.\x80\2M\xe8\3."),
         "not version 1001"},
        {TEXT("\x80\2\x8a\nl\xfc\x9c"
              "F\xf9 j\xa8P\x19.\x80\2M\xe9\3.\x80\2}."),
         "not little-endian"},
        {TEXT("\x80\2\x8a\nl\xfc\x9c"
              "F\xf9 j\xa8P\x19.\x80\2M\xe9\3.\x80\2}X\xd\0\0\0little_endian\x88s."),
         "pickle, byte 0: it ends in the middle"},
    };
    struct error err = ERROR_NONE;
    ck_assert(
        parse_copy((struct bytes){(const uint8_t *)rows[_i].file.data, rows[_i].file.size}, &err));
    ck_assert_msg(strstr(err.message, rows[_i].message), "%s", err.message);
}
END_TEST

/* No prefix of a file is taken for a file, and whatever byte of it is another, nothing breaks. */
START_TEST(every_length_and_byte) {
    static const char *const names[] = {SEEDS "archive", SEEDS "archive_4", SEEDS "module",
                                        SEEDS "legacy", SEEDS "untyped"};
    struct buffer file = files_load(names[_i]);
    for (size_t size = 0; size < file.size; size++) {
        struct error err = ERROR_NONE;
        ck_assert_msg(parse_copy((struct bytes){file.data, size}, &err), "%zu bytes", size);
        ck_assert(err.message[0]);
    }
    for (size_t i = 0; i < file.size; i++) {
        uint8_t byte = file.data[i];
        for (int change = 0; change < 3; change++) {
            file.data[i] = change == 0 ? 0 : change == 1 ? 0xff : byte ^ 1;
            parse_copy(buffer_view(&file), NULL);
        }
        file.data[i] = byte;
    }
    ck_assert_int_eq(parse_copy(buffer_view(&file), NULL), STATUS_OK);
    buffer_free(&file);
}
END_TEST

/* A cut older file says which tensor is not all there. */
START_TEST(cut_file_names_the_tensor) {
    struct buffer file = files_load(SEEDS "legacy");
    struct error err = ERROR_NONE;
    ck_assert(parse_copy((struct bytes){file.data, file.size - 3}, &err));
    ck_assert_msg(strstr(err.message, " has 13 bytes of data in the file, 4 elements of 4 bytes"),
                  "%s", err.message);
    buffer_free(&file);
}
END_TEST

/* The same through the front door: a directory of them, each refused. */
static void check_refused(const char *path) {
    struct model_options options = {.path = path, .features = isa_detect(), .workers = 1};
    struct model *model = NULL;
    struct error err = ERROR_NONE;
    ck_assert_msg(model_open(&model, &options, &err), "%s", path);
    ck_assert_msg(err.status && err.message[0], "%s", path);
}

START_TEST(directory_of_hostile_archives) {
    char folder[] = "/tmp/clipd-test-XXXXXX";
    size_t count = sizeof(hostile) / sizeof(hostile[0]);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    for (size_t i = 0; i < count; i++) {
        char path[64];
        struct buffer archive;
        make_archive(&archive, hostile[i].pickle.data, hostile[i].pickle.size);
        snprintf(path, sizeof(path), "%s/%zu.pt", folder, i);
        FILE *out = fopen(path, "wb");
        ck_assert_ptr_nonnull(out);
        ck_assert_uint_eq(fwrite(archive.data, 1, archive.size, out), archive.size);
        fclose(out);
        check_refused(path);
        unlink(path);
        buffer_free(&archive);
    }
    rmdir(folder);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, every_form);
    tcase_add_loop_test(tests, views, 0, 6);
    tcase_add_loop_test(tests, hostile_pickles, 0, sizeof(hostile) / sizeof(hostile[0]));
    tcase_add_test(tests, bombs);
    tcase_add_test(tests, views_beyond_the_file);
    tcase_add_loop_test(tests, archives_of_others, 0, 6);
    tcase_add_loop_test(tests, older_files, 0, 5);
    tcase_add_loop_test(tests, every_length_and_byte, 0, 5);
    tcase_add_test(tests, cut_file_names_the_tensor);
    tcase_add_test(tests, directory_of_hostile_archives);
    return program_run("pytorch", tests, CK_NOFORK);
}
