#include "cli/samples.h"

#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/file.h"
#include "core/checkpoint/layout.h"
#include "core/recipe.h"

/* ---- pictures ---- */

/* How files become what the model sees. */
struct darkroom {
    struct preprocess preprocess;
    struct image_options options;
    size_t bytes; /* of one picture */
};

static enum status develop(uint8_t *pixels, const struct darkroom *darkroom, const char *path) {
    struct file_map file;
    struct image image;
    enum status status = file_map_open(&file, path, NULL);
    if (status) return status;
    status = image_decode(&image, file.bytes, &darkroom->options, NULL);
    file_map_close(&file);
    if (status) return status;
    status = preprocess_image(pixels, &darkroom->preprocess, &image, NULL);
    image_free(&image);
    return status;
}

static int by_name(const FTSENT **a, const FTSENT **b) {
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static void walk(struct gathered *out, FTS *folders, const struct darkroom *darkroom, size_t most) {
    size_t *count = &out->samples.counts[PLAN_VISION];
    const FTSENT *entry;
    while (*count < most && (entry = fts_read(folders))) {
        if (entry->fts_info != FTS_F) continue;
        uint8_t *pixels = out->pixels + *count * darkroom->bytes;
        if (develop(pixels, darkroom, entry->fts_accpath))
            out->skipped++;
        else
            out->samples.pixels[(*count)++] = pixels;
    }
}

static enum status gather_pictures(struct gathered *out, const struct darkroom *darkroom,
                                   const char *directory, size_t most, struct error *err) {
    size_t bytes;
    struct stat folder;
    if (stat(directory, &folder))
        return error_set_errno(err, error_errno_status(), "open", directory);
    if (!S_ISDIR(folder.st_mode))
        return error_set(err, STATUS_INVALID, "%s is no directory", directory);
    if (size_multiply(&bytes, most, darkroom->bytes)) out->pixels = malloc(bytes);
    out->samples.pixels = calloc(most, sizeof(uint8_t *));
    char *path = strdup(directory), *paths[] = {path, NULL};
    FTS *folders = path ? fts_open(paths, FTS_LOGICAL | FTS_NOCHDIR, by_name) : NULL;
    enum status status = STATUS_OK;
    if (!out->pixels || !out->samples.pixels || !folders)
        status = error_set(err, STATUS_NO_MEMORY, "out of memory for %zu pictures", most);
    else
        walk(out, folders, darkroom, most);
    if (folders) fts_close(folders);
    free(path);
    size_t count = out->samples.counts[PLAN_VISION];
    if (status || count >= 2) return status;
    return error_set(err, STATUS_UNPROCESSABLE,
                     "found %zu pictures (and %zu other files) below %s, expected at least 2",
                     count, out->skipped, directory);
}

/* ---- captions ---- */

static const char *const templates[] = {
    "a photo of %s.",
    "%s",
    "a drawing of %s on white paper",
    "a blurry, dark photograph of %s at night",
    "two people look at %s; one of them laughs, the other one takes a picture with a phone",
    "%s in the snow, in front of a red house with a green door",
    "a close-up of %s",
    "this is not %s, is it?",
};
static const char *const subjects[] = {
    "a dog", "an old ship",   "a woman riding a bicycle", "three apples",
    "a car", "the city hall", "a guitar player on stage", "clouds over the sea",
};
_Static_assert(sizeof(templates) / sizeof(templates[0]) * sizeof(subjects) / sizeof(subjects[0]) ==
                   SAMPLES_CAPTIONS,
               "as many captions as announced");

static enum status gather_captions(struct gathered *out, const struct tokenizer *tokenizer,
                                   uint32_t context_length, struct error *err) {
    out->ids = calloc((size_t)SAMPLES_CAPTIONS * context_length, sizeof(*out->ids));
    out->samples.texts = calloc(SAMPLES_CAPTIONS, sizeof(*out->samples.texts));
    if (!out->ids || !out->samples.texts) return error_set(err, STATUS_NO_MEMORY, "out of memory");
    enum { SUBJECTS = sizeof(subjects) / sizeof(subjects[0]), CAPTION_SIZE = 160 };
    for (size_t i = 0; i < SAMPLES_CAPTIONS; i++) {
        char caption[CAPTION_SIZE];
        const char *template = templates[i / SUBJECTS], *gap = strstr(template, "%s");
        snprintf(caption, sizeof(caption), "%.*s%s%s", (int)(gap - template), template,
                 subjects[i % SUBJECTS], gap + 2);
        struct tokens tokens = {.ids = out->ids + i * context_length};
        enum status status =
            tokenizer_encode(tokenizer, bytes_of(caption), context_length, true, &tokens, err);
        if (status) return status;
        size_t count = tokenizer_pad(tokenizer, &tokens, context_length);
        out->samples.texts[i] = (struct model_text){.ids = tokens.ids, .count = (uint32_t)count};
    }
    out->samples.counts[PLAN_TEXT] = SAMPLES_CAPTIONS;
    return STATUS_OK;
}

/* A bare weight file brings no vocabulary; without `vocab` there are no captions. */
static enum status open_tokenizer(struct tokenizer **out, const struct model_info *info,
                                  const struct engine_options *options, struct error *err) {
    struct stat file;
    struct tokenizer_options mode;
    bool bare = stat(options->path, &file) == 0 && !S_ISDIR(file.st_mode);
    *out = NULL;
    if (bare && !options->vocab) return STATUS_OK;
    enum status status = recipe_tokenizer(&mode, info, options->tokenizer, err);
    if (status) return status;
    char *path = options->vocab ? strdup(options->vocab) : layout_tokenizer(options->path);
    status = path ? tokenizer_open(out, path, &mode, err)
                  : error_set(err, STATUS_NO_MEMORY, "out of memory for a path");
    free(path);
    if (status || tokenizer_vocab_size(*out) <= info->vocab_size) return status;
    return error_set(err, STATUS_CONFLICT,
                     "the vocabulary has %u tokens, the model's embedding has %u",
                     tokenizer_vocab_size(*out), info->vocab_size);
}

/* ---- both ---- */

enum status samples_gather(struct gathered *out, const struct model_info *info,
                           const struct engine_options *options, const char *directory,
                           size_t pictures_max, struct error *err) {
    *out = (struct gathered){.skipped = 0};
    struct darkroom darkroom = {
        .options = {.limits = {options->image_limits.side_max, options->image_limits.pixels_max},
                    .exif_orientation = options->exif_orientation},
        .bytes = 3 * (size_t)info->image_size * info->image_size,
    };
    enum status status = STATUS_OK;
    if (info->vision.layers) {
        status = recipe_preprocess(&darkroom.preprocess, info, err);
        if (!status) status = gather_pictures(out, &darkroom, directory, pictures_max, err);
    }
    if (status || !info->text.layers) return status;
    struct tokenizer *tokenizer = NULL;
    status = open_tokenizer(&tokenizer, info, options, err);
    if (!status && tokenizer) status = gather_captions(out, tokenizer, info->context_length, err);
    tokenizer_close(tokenizer);
    return status;
}

void samples_release(struct gathered *gathered) {
    free(gathered->samples.pixels);
    free(gathered->samples.texts);
    free(gathered->pixels);
    free(gathered->ids);
    *gathered = (struct gathered){.skipped = 0};
}
