/* clipd classify: labels of images, best first; a table for people, one JSON object a
 * line and image for programs. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "api/encode.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/session.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/classify/classify.h"

enum { LABELS_MAX = 10000, TEMPLATES_MAX = 1000, FILE_SIZE_MAX = 256 << 20 };

static const char usage[] =
    "usage: clipd classify IMAGE... --labels A,B,C [OPTION]...\n\n"
    "Prints how likely each label is for each image, best first: a table on a terminal,\n"
    "else one JSON object a line and image. IMAGE - is standard input.\n\n"
    "  --labels A,B,C   the labels; given more than once, each is one label, commas and all\n"
    "  --template TEXT  sentence with {} for the label, \"a photo of a {}.\" by default; of\n"
    "                   several the mean is taken\n"
    "  --top-k N        only the best N labels\n"
    "  --json           JSON also on a terminal\n"
    "  --model DIR      directory of the checkpoint, or a weight file ($CLIPD_MODEL)\n"
    "  --config FILE    configuration ($CLIPD_CONFIG); its default model is used\n"
    "  --help           print this\n";

struct texts {
    struct bytes *items; /* [count] */
    size_t count;
};

struct classify {
    struct session session;
    struct classifier *classifier;
    struct texts labels, templates;
    size_t top_k;
    bool json;
    float *label_embeddings;       /* [labels.count, embed_dim] */
    bool *truncated;               /* [labels.count] */
    float *image_embedding;        /* [embed_dim] */
    struct classify_score *scores; /* [labels.count] */
};

static bool add_text(struct texts *texts, struct bytes text, size_t max) {
    if (text.size == 0 || texts->count == max) return false;
    struct bytes *items = realloc(texts->items, (texts->count + 1) * sizeof(*items));
    if (!items) return false;
    items[texts->count++] = text;
    texts->items = items;
    return true;
}

/* "a, b,c": white space around a label is not part of it. Only a single list is one, as over HTTP:
 * how else could a label have a comma? */
static bool split_labels(struct texts *labels) {
    const char *list = (const char *)labels->items[0].data;
    if (labels->count > 1) return true;
    labels->count = 0;
    for (;;) {
        list += strspn(list, " \t\n");
        size_t end = strcspn(list, ","), size = end;
        while (size && strchr(" \t\n", list[size - 1])) size--;
        struct bytes label = {.data = (const uint8_t *)list, .size = size};
        if (!add_text(labels, label, LABELS_MAX)) return false;
        if (!list[end]) return true;
        list += end + 1;
    }
}

static int prepare(struct classify *c) {
    struct error err = ERROR_NONE;
    struct engine_call call = {.deadline_ns = CLOCK_NEVER};
    struct engine *engine = c->session.engine;
    size_t dim = engine_info(engine)->embed_dim;
    c->label_embeddings = calloc(c->labels.count * dim, sizeof(float));
    c->truncated = calloc(c->labels.count, sizeof(*c->truncated));
    c->image_embedding = calloc(dim, sizeof(float));
    c->scores = calloc(c->labels.count, sizeof(*c->scores));
    struct label_set set = {.labels = c->labels.items,
                            .labels_count = c->labels.count,
                            .templates = c->templates.items,
                            .templates_count = c->templates.count};
    enum status status = STATUS_OK;
    if (!c->label_embeddings || !c->truncated || !c->image_embedding || !c->scores)
        status = error_set(&err, STATUS_NO_MEMORY, "out of memory");
    if (status == STATUS_OK)
        status = classifier_create(&c->classifier, c->session.config.api.label_cache_max, &err);
    if (status == STATUS_OK)
        status = classify_embed_labels(c->classifier, engine, &set, c->label_embeddings,
                                       c->truncated, &call, &err);
    if (status != STATUS_OK) return console_fail(&err);
    for (size_t i = 0; i < c->labels.count; i++) {
        struct bytes label = c->labels.items[i];
        if (c->truncated[i])
            console_say("clipd: label '%.*s' is longer than the model's context and was cut",
                        (int)label.size, (const char *)label.data);
    }
    return EX_OK;
}

static enum status write_json(const struct classify *c, const char *name, struct buffer *out,
                              struct error *err) {
    struct writer writer;
    writer_init(&writer, out);
    writer_begin_object(&writer);
    writer_key(&writer, "input");
    writer_text(&writer, name);
    encode_write_preprocess(&writer, engine_info(c->session.engine));
    writer_key(&writer, "labels");
    writer_begin_array(&writer);
    for (size_t i = 0; i < c->top_k; i++) {
        const struct classify_score *score = &c->scores[i];
        writer_begin_object(&writer);
        writer_key(&writer, "label");
        writer_string(&writer, c->labels.items[score->label]);
        writer_key(&writer, "probability");
        writer_float(&writer, score->probability);
        writer_key(&writer, "cosine");
        writer_float(&writer, score->cosine);
        writer_end_object(&writer);
    }
    writer_end_array(&writer);
    writer_end_object(&writer);
    enum status status = writer_finish(&writer, err);
    return status == STATUS_OK ? buffer_append(out, "\n", 1, err) : status;
}

static enum status write_table(const struct classify *c, const char *name, struct buffer *out,
                               struct error *err) {
    enum status status = console_append(out, bytes_of(name), err);
    if (!status) status = buffer_append(out, "\n", 1, err);
    for (size_t i = 0; i < c->top_k && status == STATUS_OK; i++) {
        const struct classify_score *score = &c->scores[i];
        status = buffer_printf(out, err, "  %5.1f %%  ", 100 * (double)score->probability);
        if (!status) status = console_append(out, c->labels.items[score->label], err);
        if (!status) status = buffer_append(out, "\n", 1, err);
    }
    return status;
}

/* Appends what there is to say of one image; its exit code. */
static int classify_image(struct buffer *out, struct classify *c, const char *name) {
    struct engine *engine = c->session.engine;
    struct engine_call call = {.deadline_ns = CLOCK_NEVER};
    struct error err = ERROR_NONE;
    struct buffer file;
    buffer_init(&file, FILE_SIZE_MAX);
    enum status status = file_read(&file, name, &err);
    struct bytes view = buffer_view(&file);
    if (status == STATUS_OK)
        status = engine_embed_images(engine, &view, 1, c->image_embedding, &call, &err);
    if (status == STATUS_OK) {
        classify_score(engine, c->image_embedding, c->label_embeddings, c->labels.count, c->scores);
        status = c->json ? write_json(c, name, out, &err) : write_table(c, name, out, &err);
    }
    buffer_free(&file);
    return status == STATUS_OK ? EX_OK : console_fail_at(name, &err);
}

static int run(struct classify *c, char **images) {
    int first = prepare(c);
    if (first != EX_OK) return first;
    for (; *images; images++) {
        struct buffer out;
        buffer_init(&out, SIZE_MAX);
        int code = classify_image(&out, c, *images), written = EX_OK;
        if (code == EX_OK) written = console_write(buffer_view(&out));
        buffer_free(&out);
        /* Nobody reads any more; an image that cannot be read is another matter. */
        if (written != EX_OK) return written;
        if (first == EX_OK) first = code;
    }
    return first;
}

static void classify_free(struct classify *c) {
    free(c->labels.items);
    free(c->templates.items);
    free(c->label_embeddings);
    free(c->truncated);
    free(c->image_embedding);
    free(c->scores);
}

static int refuse_labels(const char *found) {
    return console_usage("classify",
                         "--labels: found '%s', expected up to %d labels with commas between, "
                         "none empty",
                         found, LABELS_MAX);
}

/* EX_OK, or the exit code after a complaint; -1 after --help. */
static int read_options(struct classify *c, struct session_options *session, int argc,
                        char **argv) {
    static const struct option options[] = {
        {"labels", required_argument, NULL, 'l'}, {"template", required_argument, NULL, 't'},
        {"top-k", required_argument, NULL, 'k'},  {"json", no_argument, NULL, 'j'},
        {"model", required_argument, NULL, 'm'},  {"config", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    struct error err = ERROR_NONE;
    const char *labels = NULL;
    char *end;
    int option;
    while ((option = getopt_long(argc, argv, "l:m:h", options, NULL)) != -1) {
        switch (option) {
        case 'l':
            labels = optarg;
            if (!add_text(&c->labels, bytes_of(labels), LABELS_MAX)) return refuse_labels(labels);
            break;
        case 't':
            if (classify_check_template(bytes_of(optarg), &err) != STATUS_OK)
                return console_usage("classify", "--template: %s", err.message);
            if (!add_text(&c->templates, bytes_of(optarg), TEMPLATES_MAX))
                return console_usage("classify", "more than %d templates", TEMPLATES_MAX);
            break;
        case 'k':
            c->top_k = strtoul(optarg, &end, 10);
            if (*optarg < '1' || *optarg > '9' || *end)
                return console_usage("classify",
                                     "--top-k: found '%s', expected a whole number "
                                     "from 1",
                                     optarg);
            break;
        case 'j': c->json = true; break;
        case 'm': session->model = optarg; break;
        case 'c': session->config = optarg; break;
        case 'h': fputs(usage, stdout); return -1;
        default: return console_usage_hint("classify");
        }
    }
    if (optind == argc) return console_usage("classify", "expected an image");
    if (!labels) return console_usage("classify", "expected --labels A,B,C");
    return split_labels(&c->labels) ? EX_OK : refuse_labels(labels);
}

int classify_command(int argc, char **argv) {
    struct classify c = {.json = !isatty(STDOUT_FILENO)};
    struct session_options session = {.model = NULL};
    int code = read_options(&c, &session, argc, argv);
    if (code == EX_OK) {
        if (c.templates.count == 0 &&
            !add_text(&c.templates, bytes_of(classify_template_default), TEMPLATES_MAX))
            code = EX_OSERR;
        if (c.top_k == 0 || c.top_k > c.labels.count) c.top_k = c.labels.count;
    }
    if (code == EX_OK) code = session_open(&c.session, &session);
    if (code == EX_OK) {
        code = run(&c, argv + optind);
        classifier_destroy(c.classifier);
        session_close(&c.session);
    }
    classify_free(&c);
    return code == -1 ? EX_OK : code;
}
