/* Folders are those of core/checkpoint/layout.h, weight files those of checkpoint.h there, in
 * its order: what is fetched is what will be loaded. Of each of the two forms safetensors go
 * before pickles. open_clip's form goes first, because model.safetensors beside it may be an
 * image tower alone, for timm. */
#include "hub/selection.h"

#include <stdio.h>
#include <string.h>

enum { PATH_SIZE = 2048 };

static const char *const configurations[] = {"config.json", "open_clip_config.json",
                                             "preprocessor_config.json", "processor_config.json"};

static const char *const vocabularies[] = {
    "tokenizer.json", "vocab.json", "bpe_simple_vocab_16e6.txt.gz",
    "spiece.model",   "vocab.txt",  "sentencepiece.bpe.model",
    "tokenizer.model"};

/* Read beside a vocabulary; none in themselves. */
static const char *const tokenizer_parts[] = {"merges.txt", "tokenizer_config.json",
                                              "special_tokens_map.json", "added_tokens.json"};

static const char *const weights[] = {
    "open_clip_model.safetensors", "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin", "open_clip_pytorch_model.pth",
    "model.safetensors",           "model.safetensors.index.json",
    "pytorch_model.bin",           "pytorch_model.bin.index.json"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool ends_with(const char *text, const char *ending) {
    size_t size = strlen(text), tail = strlen(ending);
    return size > tail && !strcmp(text + size - tail, ending);
}

/* The entry of `all` with that name in that folder; NULL if there is none. */
static const char *find(const struct file_list *all, const char *folder, const char *name) {
    size_t size = strlen(folder);
    for (size_t i = 0; i < all->count; i++) {
        if (!strncmp(all->paths[i], folder, size) && !strcmp(all->paths[i] + size, name))
            return all->paths[i];
    }
    return NULL;
}

static const char *find_folder(const struct file_list *all) {
    if (find(all, "", "config.json") || find(all, "", "open_clip_config.json")) return "";
    if (find(all, "", "modules.json") && find(all, "0_CLIPModel/", "config.json"))
        return "0_CLIPModel/";
    return find(all, "text_encoder/", "config.json") ? "text_encoder/" : "";
}

/* The only file with one of the endings in the folder itself; NULL if there is none, or more
 * than one. */
static const char *find_only(const struct file_list *all, const char *folder,
                             const char *const *endings, size_t count) {
    const char *only = NULL;
    size_t found = 0, size = strlen(folder);
    for (size_t i = 0; i < all->count; i++) {
        const char *path = all->paths[i];
        bool fits = false;
        if (strncmp(path, folder, size) != 0 || strchr(path + size, '/')) continue;
        for (size_t k = 0; k < count; k++) fits |= ends_with(path, endings[k]);
        if (fits && !found++) only = path;
    }
    return found == 1 ? only : NULL;
}

static const char *find_weights(const struct file_list *all, const char *folder) {
    static const char *const endings[] = {".safetensors", ".bin", ".pt", ".pth"};
    for (size_t i = 0; i < COUNT(weights); i++) {
        const char *path = find(all, folder, weights[i]);
        if (path) return path;
    }
    const char *only = find_only(all, folder, endings, 1);
    return only ? only : find_only(all, folder, endings + 1, 3);
}

/* Adds those of the names that are in the folder, and says how many there are. */
static enum status add_named(struct file_list *out, const struct file_list *all, const char *folder,
                             const char *const *names, size_t count, struct error *err) {
    enum status status = STATUS_OK;
    for (size_t i = 0; i < count && !status; i++) {
        const char *path = find(all, folder, names[i]);
        if (path && !file_list_has(out, path)) status = file_list_add(out, path, err);
    }
    return status;
}

enum status selection_choose(struct selection *out, const struct file_list *all,
                             struct error *err) {
    static const char *const modules[] = {"modules.json"};
    *out = (struct selection){.folder = find_folder(all)};
    const char *found = find_weights(all, out->folder);
    /* diffusers keeps the vocabulary in a folder of its own. */
    const char *words = strcmp(out->folder, "text_encoder/") ? out->folder : "tokenizer/";
    struct file_list *files = &out->files;
    enum status status =
        add_named(files, all, out->folder, configurations, COUNT(configurations), err);
    if (!status && *out->folder) status = add_named(files, all, "", modules, COUNT(modules), err);
    size_t before = files->count;
    if (!status) status = add_named(files, all, words, vocabularies, COUNT(vocabularies), err);
    out->vocabulary = files->count > before;
    if (!status)
        status = add_named(files, all, words, tokenizer_parts, COUNT(tokenizer_parts), err);
    if (!status && found) status = file_list_add(files, found, err);
    if (!status && found) {
        out->weights = files->paths[files->count - 1];
        out->sharded = ends_with(found, ".index.json");
    }
    if (status) selection_free(out);
    return status;
}

void selection_free(struct selection *selection) {
    file_list_free(&selection->files);
    *selection = (struct selection){0};
}
