/* The names that models have here. */
#include "hub/catalogue.h"

#include <check.h>
#include <string.h>

#include "tests/support/program.h"

START_TEST(entries_make_sense) {
    struct repository repository;
    for (size_t i = 0; i < catalogue_count; i++) {
        const struct catalogue_entry *entry = &catalogue[i];
        ck_assert_ptr_eq(catalogue_find(entry->name), entry); /* no name twice */
        ck_assert_msg(repository_parse(&repository, entry->repository), "%s", entry->repository);
        /* A name can be no repository's, and no path's. */
        ck_assert(!repository_parse(&repository, entry->name) && !strchr(entry->name, '/'));
        ck_assert_ptr_nonnull(strchr(entry->name, ':'));
        ck_assert(entry->image_gflops > 0 && entry->image_gflops < entry->gflops);
        ck_assert(entry->parameters_m > 100 && entry->imagenet > 50 && entry->coco < 70);
        ck_assert_str_ne(catalogue_family_name(entry->family), "");
    }
}
END_TEST

START_TEST(resolved) {
    struct repository repository;
    ck_assert_int_eq(catalogue_resolve(&repository, "RN50:openai", NULL), STATUS_OK);
    ck_assert_str_eq(repository.name, "timm/resnet50_clip.openai");
    ck_assert_str_eq(repository.revision, "main");
    ck_assert_int_eq(catalogue_resolve(&repository, "ViT-bigG-14", NULL), STATUS_OK);
    ck_assert_str_eq(repository.name, "laion/CLIP-ViT-bigG-14-laion2B-39B-b160k");
    ck_assert_int_eq(catalogue_resolve(&repository, "a/b@c", NULL), STATUS_OK);
    ck_assert_str_eq(repository.name, "a/b");
}
END_TEST

START_TEST(not_resolved) {
    struct repository repository;
    struct error err = ERROR_NONE;
    ck_assert_int_eq(catalogue_resolve(&repository, "ViT-L-14", &err), STATUS_INVALID);
    ck_assert_str_eq(err.message, "'ViT-L-14' is one of ViT-L-14:openai, "
                                  "ViT-L-14:laion2b_s32b_b82k, ViT-L-14:datacomp_xl_s13b_b90k");
    static const char *const names[] = {"", "ViT", "ViT-L-14:", "ViT-L-14:none", ":openai", "/a/b"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        ck_assert_int_eq(catalogue_resolve(&repository, names[i], NULL), STATUS_NOT_FOUND);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("catalogue");
    tcase_add_test(tcase, entries_make_sense);
    tcase_add_test(tcase, resolved);
    tcase_add_test(tcase, not_resolved);
    return program_run("catalogue", tcase, CK_NOFORK);
}
