/* clipd embed: one JSON object a line and input, so that the output can be cut, joined
 * and piped. Inputs go through the model in groups; one that fails is reported and
 * left out, and the exit code is that of the first failure. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "api/encode.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/session.h"
#include "core/base/clock.h"
#include "core/base/file.h"

enum { GROUP_MAX = 32, FILE_SIZE_MAX = 256 << 20, LINE_SIZE_MAX = 1 << 20 };

static const char usage[] =
    "usage: clipd embed image [OPTION]... FILE...\n"
    "       clipd embed text [OPTION]... TEXT...\n\n"
    "Prints one JSON object a line for each image or text: {\"input\", \"embedding\"}, of\n"
    "a text also {\"tokens\", \"truncated\"}. FILE - is an image on standard input, TEXT - is\n"
    "one text a line there.\n\n"
    "  --model DIR      directory of the checkpoint, or a weight file ($CLIPD_MODEL)\n"
    "  --config FILE    configuration ($CLIPD_CONFIG); its default model is used\n"
    "  --raw            leave embeddings as the model gives them, not of length 1\n"
    "  --no-truncate    fail for a text that is longer than the model's context\n"
    "  --help           print this\n";

/* One run of the command. */
struct embed {
    struct session session;
    bool images, raw, truncate;
    int code; /* of the first input that failed */
    size_t group_max;

    /* The group being collected. */
    size_t count;
    const char *names[GROUP_MAX];
    struct buffer inputs[GROUP_MAX]; /* files, or texts */
};

static void note_failure(struct embed *embed, const char *name, const struct error *err) {
    int code = console_fail_at(name, err);
    if (embed->code == EX_OK) embed->code = code;
}

static int print_embedding(const struct embed *embed, size_t index, const float *embedding,
                           const struct engine_text_info *info) {
    struct buffer line;
    struct writer writer;
    struct error err = ERROR_NONE;
    buffer_init(&line, SIZE_MAX);
    writer_init(&writer, &line);
    writer_begin_object(&writer);
    writer_key(&writer, "input");
    if (embed->images) {
        writer_text(&writer, embed->names[index]);
        encode_write_preprocess(&writer, engine_info(embed->session.engine));
    } else {
        writer_string(&writer, buffer_view(&embed->inputs[index]));
    }
    writer_key(&writer, "embedding");
    writer_floats(&writer, embedding, engine_info(embed->session.engine)->embed_dim);
    if (!embed->images) {
        writer_key(&writer, "tokens");
        writer_uint(&writer, info->tokens);
        writer_key(&writer, "truncated");
        writer_bool(&writer, info->truncated);
    }
    writer_end_object(&writer);
    enum status status = writer_finish(&writer, &err);
    if (status == STATUS_OK) status = buffer_append(&line, "\n", 1, &err);
    int code = status == STATUS_OK ? console_write(buffer_view(&line)) : console_fail(&err);
    buffer_free(&line);
    return code;
}

/* Puts the collected group through the model and prints it. An exit code other than
 * EX_OK ends the run. */
static int run_group(struct embed *embed) {
    size_t count = embed->count, dim = engine_info(embed->session.engine)->embed_dim;
    if (count == 0) return EX_OK;
    struct bytes views[GROUP_MAX];
    struct error errors[GROUP_MAX] = {{0}}, err = ERROR_NONE;
    struct engine_text_info infos[GROUP_MAX] = {{0}};
    struct engine_call call = {.deadline_ns = CLOCK_NEVER,
                               .raw = embed->raw,
                               .refuse_long = !embed->truncate,
                               .errors = errors,
                               .texts = infos};
    for (size_t i = 0; i < count; i++) views[i] = buffer_view(&embed->inputs[i]);
    float *embeddings = calloc(count * dim, sizeof(*embeddings));
    enum status status = STATUS_OK;
    if (!embeddings)
        status = error_set(&err, STATUS_NO_MEMORY, "out of memory");
    else if (embed->images)
        status = engine_embed_images(embed->session.engine, views, count, embeddings, &call, &err);
    else
        status = engine_embed_texts(embed->session.engine, views, count, embeddings, &call, &err);
    int code = status == STATUS_OK ? EX_OK : console_fail(&err);
    for (size_t i = 0; i < count && code == EX_OK; i++) {
        if (errors[i].status != STATUS_OK)
            note_failure(embed, embed->names[i], &errors[i]);
        else
            code = print_embedding(embed, i, embeddings + i * dim, &infos[i]);
    }
    for (size_t i = 0; i < count; i++) buffer_free(&embed->inputs[i]);
    embed->count = 0;
    free(embeddings);
    return code;
}

/* The next free place of the group, empty; runs the group when it is full. */
static int next_input(struct embed *embed, struct buffer **out, const char *name) {
    int code = embed->count == embed->group_max ? run_group(embed) : EX_OK;
    if (code != EX_OK) return code;
    embed->names[embed->count] = name;
    *out = &embed->inputs[embed->count];
    buffer_init(*out, embed->images ? FILE_SIZE_MAX : LINE_SIZE_MAX);
    return EX_OK;
}

static int add_input(struct embed *embed, const char *name, struct bytes text) {
    struct buffer *input = NULL;
    struct error err = ERROR_NONE;
    int code = next_input(embed, &input, name);
    if (code != EX_OK) return code;
    enum status status = embed->images ? file_read(input, name, &err)
                                       : buffer_append(input, text.data, text.size, &err);
    if (status == STATUS_OK) {
        embed->count++;
        return EX_OK;
    }
    buffer_free(input);
    note_failure(embed, name, &err);
    return EX_OK;
}

static int add_lines(struct embed *embed) {
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;
    int code = EX_OK;
    while (code == EX_OK && (size = getline(&line, &capacity, stdin)) >= 0) {
        if (size && line[size - 1] == '\n') size--;
        struct bytes text = {.data = (const uint8_t *)line, .size = (size_t)size};
        code = add_input(embed, "standard input", text);
    }
    free(line);
    if (code == EX_OK && ferror(stdin)) {
        perror("clipd: cannot read standard input");
        code = EX_IOERR;
    }
    return code;
}

static int run(struct embed *embed, char **inputs) {
    int code = EX_OK;
    for (; *inputs && code == EX_OK; inputs++) {
        if (!embed->images && !strcmp(*inputs, "-"))
            code = add_lines(embed);
        else
            code = add_input(embed, *inputs, bytes_of(*inputs));
    }
    if (code == EX_OK) code = run_group(embed);
    return code == EX_OK ? embed->code : code;
}

int embed_command(int argc, char **argv) {
    static const struct option options[] = {
        {"model", required_argument, NULL, 'm'}, {"config", required_argument, NULL, 'c'},
        {"raw", no_argument, NULL, 'r'},         {"no-truncate", no_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},        {NULL, 0, NULL, 0},
    };
    struct embed embed = {.truncate = true};
    struct session_options session = {.model = NULL};
    int option;
    while ((option = getopt_long(argc, argv, "m:h", options, NULL)) != -1) {
        switch (option) {
        case 'm': session.model = optarg; break;
        case 'c': session.config = optarg; break;
        case 'r': embed.raw = true; break;
        case 't': embed.truncate = false; break;
        case 'h': fputs(usage, stdout); return EX_OK;
        default: return console_usage_hint("embed");
        }
    }
    const char *what = optind < argc ? argv[optind] : "nothing";
    embed.images = !strcmp(what, "image");
    if (!embed.images && strcmp(what, "text") != 0)
        return console_usage("embed", "found %s, expected image or text", what);
    if (optind + 1 == argc)
        return console_usage("embed", "expected a %s", embed.images ? "file" : "text");
    int code = session_open(&embed.session, &session);
    if (code != EX_OK) return code;
    uint32_t queue_limit = embed.session.config.runtime.queue_limit;
    embed.group_max = queue_limit < GROUP_MAX ? queue_limit : GROUP_MAX;
    code = run(&embed, argv + optind + 1);
    session_close(&embed.session);
    return code;
}
