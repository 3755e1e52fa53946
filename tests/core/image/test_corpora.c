/* The hostile and odd files of the shared corpora: every one is decoded or refused for a
 * reason, in bounded time, and as many are decoded as Pillow 9.4 and our limits let through
 * (each of those was compared with Pillow to the byte when the numbers were written down). */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/image/preprocess.h"
#include "tests/support/files.h"
#include "tests/support/program.h"
#include "tests/support/shared.h"

/* The slowest takes 0.2 s; sanitizers are some ten times slower. */
enum { SECONDS_MAX = 10 };

/* Of this thread alone: other programs must not make a test fail. */
static double cpu_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void visit(void *context, const char *path, struct bytes file) {
    size_t *decoded = context;
    struct image_options options = {.limits = image_limits_default, .exif_orientation = true};
    struct preprocess preprocess = {.size = 32, .filter = RESAMPLE_BICUBIC};
    uint8_t crop[32 * 32 * 3];
    double start = cpu_seconds();
    struct image image;
    struct error err = ERROR_NONE;
    enum status status = image_decode(&image, file, &options, &err);
    if (status == STATUS_OK) {
        ck_assert_int_eq(preprocess_image(crop, &preprocess, &image, &err), STATUS_OK);
        image_free(&image);
    }
    double seconds = cpu_seconds() - start;
    ck_assert_msg(seconds < SECONDS_MAX, "%s took %.1f s", path, seconds);
    ck_assert_msg(err.status == status && (status == STATUS_OK) == (err.message[0] == '\0'),
                  "%s: %d, %d, %s", path, status, err.status, err.message);
    bool refused = status == STATUS_UNSUPPORTED || status == STATUS_UNPROCESSABLE ||
                   status == STATUS_TOO_LARGE;
    ck_assert_msg(status == STATUS_OK || refused, "%s: %s", path, err.message);
    *decoded += status == STATUS_OK;
}

static void check_folder(const char *relative, size_t expected) {
    char *path = shared_path(relative);
    size_t decoded = 0;
    files_each(path, visit, &decoded);
    ck_assert_msg(decoded == expected, "%s: %zu decoded, expected %zu", relative, decoded,
                  expected);
    free(path);
}

START_TEST(png) {
    if (shared_missing()) return;
    check_folder("corpora/png-suite", 161);
    check_folder("corpora/png-testpngs-libpng", 117);
    check_folder("corpora/gofuzz/png", 60);
}
END_TEST

START_TEST(jpeg) {
    if (shared_missing()) return;
    check_folder("corpora/jpeg-testimages-ljt", 6);
    check_folder("corpora/jpeg-exif-orientation", 18);
    check_folder("corpora/jpeg-afl-ljt", 275);
    check_folder("corpora/gofuzz/jpeg", 37);
}
END_TEST

START_TEST(webp) {
    if (shared_missing()) return;
    check_folder("corpora/webp-testdata", 129);
    check_folder("corpora/gofuzz/webp", 37);
}
END_TEST

START_TEST(bombs) {
    if (shared_missing()) return;
    check_folder("corpora/bombs", 7);
}
END_TEST

START_TEST(gifs_are_unsupported) {
    if (shared_missing()) return;
    check_folder("corpora/gofuzz/gif", 0);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("corpora");
    tcase_add_test(tcase, png);
    tcase_add_test(tcase, jpeg);
    tcase_add_test(tcase, webp);
    tcase_add_test(tcase, bombs);
    tcase_add_test(tcase, gifs_are_unsupported);
    return program_run("corpora", tcase, CK_NOFORK);
}
