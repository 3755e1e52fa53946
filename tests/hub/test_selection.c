/* Which files of a repository are chosen. */
#include "hub/selection.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/program.h"

/* Chooses among names with spaces between; the list must live as long as the selection. */
static struct selection choose(const char *names) {
    struct file_list all = {0};
    struct selection selection;
    char *copy = strdup(names), *rest = copy;
    for (char *name; (name = strsep(&rest, " ")) != NULL;)
        ck_assert_int_eq(file_list_add(&all, name, NULL), STATUS_OK);
    ck_assert_int_eq(selection_choose(&selection, &all, NULL), STATUS_OK);
    file_list_free(&all);
    free(copy);
    return selection;
}

static void expect(const char *names, const char *expected, const char *weights) {
    struct selection selection = choose(names);
    char *copy = strdup(expected), *rest = copy;
    size_t count = 0;
    for (char *name; (name = strsep(&rest, " ")) != NULL; count++)
        ck_assert_msg(file_list_has(&selection.files, name), "%s is not among those of %s", name,
                      names);
    ck_assert_uint_eq(selection.files.count, count);
    if (weights)
        ck_assert_str_eq(selection.weights, weights);
    else
        ck_assert_ptr_null(selection.weights);
    free(copy);
    selection_free(&selection);
}

START_TEST(one_form_of_the_weights) {
    expect("config.json model.safetensors pytorch_model.bin tf_model.h5 flax_model.msgpack "
           "README.md merges.txt vocab.json tokenizer.json preprocessor_config.json "
           "processor_config.json",
           "config.json model.safetensors merges.txt vocab.json tokenizer.json "
           "preprocessor_config.json processor_config.json",
           "model.safetensors");
    expect("open_clip_config.json config.json open_clip_pytorch_model.bin model.safetensors",
           "open_clip_config.json config.json open_clip_pytorch_model.bin",
           "open_clip_pytorch_model.bin");
    expect("open_clip_config.json open_clip_pytorch_model.bin open_clip_model.safetensors",
           "open_clip_config.json open_clip_model.safetensors", "open_clip_model.safetensors");
    expect("config.json pytorch_model.bin other.safetensors", "config.json pytorch_model.bin",
           "pytorch_model.bin");
}
END_TEST

START_TEST(weights_of_another_name) {
    expect("config.json clip.safetensors a.bin b.bin", "config.json clip.safetensors",
           "clip.safetensors");
    expect("RN50.pt README.md", "RN50.pt", "RN50.pt");
    expect("config.json a.bin b.pt", "config.json", NULL);
    expect("config.json below/model.safetensors", "config.json", NULL);
    expect("config.json .safetensors", "config.json", NULL);
}
END_TEST

START_TEST(shards) {
    struct selection selection = choose("config.json model.safetensors.index.json a.safetensors");
    ck_assert(selection.sharded);
    ck_assert_str_eq(selection.weights, "model.safetensors.index.json");
    ck_assert_uint_eq(selection.files.count, 2);
    selection_free(&selection);
}
END_TEST

START_TEST(folders) {
    expect("modules.json config_sentence_transformers.json 0_CLIPModel/config.json "
           "0_CLIPModel/pytorch_model.bin 0_CLIPModel/vocab.json 0_CLIPModel/merges.txt README.md",
           "modules.json 0_CLIPModel/config.json 0_CLIPModel/pytorch_model.bin "
           "0_CLIPModel/vocab.json 0_CLIPModel/merges.txt",
           "0_CLIPModel/pytorch_model.bin");
    expect("model_index.json text_encoder/config.json text_encoder/model.safetensors "
           "text_encoder/model.fp16.safetensors tokenizer/vocab.json tokenizer/merges.txt "
           "unet/config.json unet/diffusion_pytorch_model.safetensors",
           "text_encoder/config.json text_encoder/model.safetensors tokenizer/vocab.json "
           "tokenizer/merges.txt",
           "text_encoder/model.safetensors");
}
END_TEST

START_TEST(vocabularies) {
    struct selection selection = choose("config.json model.safetensors merges.txt");
    ck_assert(!selection.vocabulary);
    selection_free(&selection);
    selection = choose("config.json model.safetensors spiece.model");
    ck_assert(selection.vocabulary);
    selection_free(&selection);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("selection");
    tcase_add_test(tcase, one_form_of_the_weights);
    tcase_add_test(tcase, weights_of_another_name);
    tcase_add_test(tcase, shards);
    tcase_add_test(tcase, folders);
    tcase_add_test(tcase, vocabularies);
    return program_run("selection", tcase, CK_NOFORK);
}
