/* clipd search: the items of a collection nearest to words or to an image. */
#include <getopt.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "api/item_json.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/gallery.h"
#include "cli/session.h"
#include "core/base/clock.h"
#include "core/base/file.h"

enum { FILE_SIZE_MAX = 256 << 20, TOP_K_DEFAULT = 10, PAGE_SIZE_MAX = 1 << 30 };

static const char usage[] =
    "usage: clipd search [OPTION]... TEXT --collection NAME\n"
    "       clipd search [OPTION]... --image FILE --collection NAME\n\n"
    "Prints the nearest items, the best first: a table on a terminal, else one JSON object a\n"
    "line. With TEXT and an image, what is near to both.\n\n"
    "  --collection NAME  where to look\n"
    "  --image FILE       an image to look for; - is standard input\n"
    "  --top-k N          so many; 10 by default\n"
    "  --json             JSON also on a terminal\n"
    "  --html FILE        write a page with the pictures instead; - is standard output\n"
    "  --open             show that page, in a file of its own without --html\n"
    "  --store DIR        of collections ($CLIPD_STORE); the user's data directory by default\n"
    "  --model DIR        directory of the checkpoint, or a weight file ($CLIPD_MODEL)\n"
    "  --config FILE      configuration ($CLIPD_CONFIG); its default model is used\n"
    "  --help             print this\n";

struct arguments {
    const char *collection, *text, *image, *html;
    uint32_t top_k;
    bool json, open;
};

/* Where hits go. */
struct output {
    struct buffer text;
    bool json, html;
};

static enum status print_hit(void *context, const struct hit *hit, struct error *err) {
    struct output *output = context;
    if (output->html) return gallery_add(&output->text, &hit->item, hit->score, err);
    if (!output->json) {
        enum status status = buffer_printf(&output->text, err, "%.3f  ", (double)hit->score);
        if (!status) status = console_append(&output->text, hit->item.id, err);
        return status ? status : buffer_append(&output->text, "\n", 1, err);
    }
    struct writer writer;
    struct item_json how = {.parts = ITEM_METADATA};
    writer_init(&writer, &output->text);
    writer_begin_object(&writer);
    writer_key(&writer, "score");
    writer_float(&writer, hit->score);
    item_json_write(&writer, &hit->item, &how);
    writer_end_object(&writer);
    writer_line(&writer);
    return writer_finish(&writer, err);
}

/* What is sought, [embed_dim]: the sum of text and image. */
static enum status embed(float *out, struct engine *engine, const struct arguments *arguments,
                         struct error *err) {
    size_t dim = engine_info(engine)->embed_dim;
    struct engine_call call = {.deadline_ns = CLOCK_NEVER};
    struct bytes text = bytes_of(arguments->text ? arguments->text : "");
    float *image = calloc(dim, sizeof(*image));
    struct buffer file;
    if (!image) return error_set(err, STATUS_NO_MEMORY, "out of memory");
    enum status status = STATUS_OK;
    buffer_init(&file, FILE_SIZE_MAX);
    if (arguments->text) status = engine_embed_texts(engine, &text, 1, out, &call, err);
    if (!status && arguments->image) {
        status = file_read(&file, arguments->image, err);
        struct bytes view = buffer_view(&file);
        if (!status) status = engine_embed_images(engine, &view, 1, image, &call, err);
    }
    for (size_t i = 0; i < dim && !status; i++) out[i] += image[i];
    buffer_free(&file);
    free(image);
    return status;
}

static enum status search(struct output *output, const struct session *session,
                          const struct arguments *arguments, struct error *err) {
    const struct engine_info *info = engine_info(session->engine);
    struct collection_spec spec;
    enum status status =
        collection_describe(session->collections, arguments->collection, &spec, err);
    if (!status && strcmp(spec.model_digest, info->sha256) != 0) {
        status = error_set(err, STATUS_CONFLICT,
                           "collection %s is of model %s (%.12s), not of %s (%.12s)", spec.name,
                           spec.model, spec.model_digest, info->name, info->sha256);
    }
    if (status) return status;
    float *embedding = calloc(info->embed_dim, sizeof(*embedding));
    if (!embedding) return error_set(err, STATUS_NO_MEMORY, "out of memory");
    struct search wanted = {.embedding = embedding,
                            .dim = info->embed_dim,
                            .model_digest = info->sha256,
                            .top_k = arguments->top_k,
                            .score_min = -1};
    status = embed(embedding, session->engine, arguments, err);
    if (!status && output->html)
        status = gallery_begin(&output->text, arguments->text ? arguments->text : "clipd", err);
    if (!status) {
        unsigned parts = output->html ? ITEM_THUMBNAIL : ITEM_METADATA;
        status = collection_search(session->collections, arguments->collection, &wanted, 1,
                                   &(struct hit_visitor){parts, print_hit, output}, err);
    }
    if (!status && output->html) status = gallery_end(&output->text, err);
    free(embedding);
    return status;
}

/* Opens a page as the desktop does. */
static int show(const char *path) {
    char program[] = "xdg-open", copy[4096];
    char *arguments[] = {program, copy, NULL};
    pid_t child;
    int result = 0;
    snprintf(copy, sizeof(copy), "%s", path);
    if (posix_spawnp(&child, program, NULL, NULL, arguments, environ) ||
        waitpid(child, &result, 0) < 0 || result) {
        fprintf(stderr, "clipd: xdg-open could not show %s\n", path);
        return EX_UNAVAILABLE;
    }
    return EX_OK;
}

static int write_page(const struct arguments *arguments, struct bytes page) {
    char made[] = "/tmp/clipd-XXXXXX.html";
    const char *path = arguments->html;
    if (path && !strcmp(path, "-")) return console_write(page);
    int fd = path ? -1 : mkstemps(made, 5);
    FILE *file = path ? fopen(path, "wb") : fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (!path) path = made;
    bool good = file && fwrite(page.data, 1, page.size, file) == page.size;
    if (file && fclose(file)) good = false;
    if (!good) {
        fputs("clipd: cannot write ", stderr);
        perror(path);
        return file ? EX_IOERR : EX_CANTCREAT;
    }
    return arguments->open ? show(path) : EX_OK;
}

static int run(const struct session *session, const struct arguments *arguments) {
    struct error err = ERROR_NONE;
    struct output output = {.json = arguments->json || !isatty(STDOUT_FILENO),
                            .html = arguments->html || arguments->open};
    buffer_init(&output.text, PAGE_SIZE_MAX);
    enum status status = search(&output, session, arguments, &err);
    int code = status        ? console_fail(&err)
               : output.html ? write_page(arguments, buffer_view(&output.text))
                             : console_write(buffer_view(&output.text));
    buffer_free(&output.text);
    return code;
}

static bool read_count(uint32_t *out, const char *text) {
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    *out = (uint32_t)number;
    return *text >= '0' && *text <= '9' && !*end && number >= 1 && number <= COLLECTION_HITS_MAX;
}

int search_command(int argc, char **argv) {
    static const struct option options[] = {
        {"model", required_argument, NULL, 'm'},
        {"config", required_argument, NULL, 'c'},
        {"store", required_argument, NULL, 's'},
        {"collection", required_argument, NULL, 'C'},
        {"image", required_argument, NULL, 'i'},
        {"top-k", required_argument, NULL, 'k'},
        {"json", no_argument, NULL, 'j'},
        {"html", required_argument, NULL, 'H'},
        {"open", no_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct arguments arguments = {.top_k = TOP_K_DEFAULT};
    struct session_options chosen = {.with_store = true};
    struct session session;
    int option;
    while ((option = getopt_long(argc, argv, "m:h", options, NULL)) != -1) {
        switch (option) {
        case 'm': chosen.model = optarg; break;
        case 'c': chosen.config = optarg; break;
        case 's': chosen.store = optarg; break;
        case 'C': arguments.collection = optarg; break;
        case 'i': arguments.image = optarg; break;
        case 'k':
            if (!read_count(&arguments.top_k, optarg))
                return console_usage("search", "--top-k is '%s', expected 1 to %d", optarg,
                                     COLLECTION_HITS_MAX);
            break;
        case 'j': arguments.json = true; break;
        case 'H': arguments.html = optarg; break;
        case 'o': arguments.open = true; break;
        case 'h': fputs(usage, stdout); return EX_OK;
        default: return console_usage_hint("search");
        }
    }
    if (optind < argc) arguments.text = argv[optind++];
    if (optind < argc)
        return console_usage("search", "found '%s', expected one text", argv[optind]);
    if (!arguments.text && !arguments.image)
        return console_usage("search", "expected a text or --image FILE");
    if (!arguments.collection) return console_usage("search", "expected --collection NAME");
    int code = session_open(&session, &chosen);
    if (code != EX_OK) return code;
    code = session_open_collections(&session);
    if (code == EX_OK) code = run(&session, &arguments);
    session_close(&session);
    return code;
}
