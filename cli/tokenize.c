/* clipd tokenize: a window into the tokenizer, for comparing it with others. Without
 * --truncate all ids of a text are printed, however long it is. */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cli/commands.h"
#include "cli/console.h"
#include "cli/model_path.h"
#include "core/checkpoint/layout.h"
#include "core/recipe.h"

enum { CONTEXT_MAX = 1 << 20, IDS_ROOM = 64 };

static const char usage[] =
    "usage: clipd tokenize (--model DIR | --vocab FILE) [OPTION]... TEXT\n\n"
    "Prints the token ids of TEXT as a JSON array, start and end token included. With\n"
    "TEXT - reads JSON strings, one a line, and prints one array a line.\n\n"
    "  --model DIR      directory of a checkpoint ($CLIPD_MODEL)\n"
    "  --vocab FILE     bpe_simple_vocab_16e6.txt[.gz], merges.txt, tokenizer.json, a\n"
    "                   SentencePiece model, BERT's vocab.txt, or a directory with one of\n"
    "                   them; with --model instead of its own\n"
    "  --mode MODE      openai, open_clip or hf-fast; by default as the checkpoint was made,\n"
    "                   openai without one\n"
    "  --truncate N     at most N ids, the last one the end token\n"
    "  --help           print this\n";

struct arguments {
    const char *model, *vocab, *mode, *text;
    size_t truncate; /* 0: do not */
};

/* The dialect of the checkpoint, or the one that was asked for. */
static enum status choose_options(struct tokenizer_options *out, const struct arguments *arguments,
                                  struct error *err) {
    if (!arguments->model) {
        *out = (struct tokenizer_options){.mode = TOKENIZER_OPENAI, .clean = TOKENIZER_LOWER};
        if (!arguments->mode || tokenizer_mode_parse(&out->mode, arguments->mode)) return STATUS_OK;
        return error_set(err, STATUS_INVALID, "mode '%.32s', expected openai, open_clip or hf-fast",
                         arguments->mode);
    }
    struct model_info info;
    enum status status = model_describe(&info, arguments->model, err);
    return status == STATUS_OK ? recipe_tokenizer(out, &info, arguments->mode, err) : status;
}

/* `tokens->ids` is the caller's to free, on failure as well. */
static enum status encode(struct tokens *tokens, const struct tokenizer *tokenizer,
                          struct bytes text, size_t truncate, struct error *err) {
    /* Cleaning can make a text longer, so the first guess may be too small. */
    size_t room = truncate ? truncate : text.size + IDS_ROOM;
    for (;;) {
        *tokens = (struct tokens){.ids = calloc(room, sizeof(*tokens->ids))};
        if (!tokens->ids) return error_set(err, STATUS_NO_MEMORY, "out of memory");
        enum status status = tokenizer_encode(tokenizer, text, room, true, tokens, err);
        if (status != STATUS_OK || truncate || !tokens->truncated) return status;
        room = tokens->total;
        free(tokens->ids);
    }
}

static int print_ids(const struct tokenizer *tokenizer, struct bytes text, size_t truncate) {
    struct error err = ERROR_NONE;
    struct tokens tokens;
    struct buffer line;
    buffer_init(&line, SIZE_MAX);
    enum status status = encode(&tokens, tokenizer, text, truncate, &err);
    for (size_t i = 0; i < tokens.count && status == STATUS_OK; i++)
        status = buffer_printf(&line, &err, "%s%u", i ? "," : "[", tokens.ids[i]);
    if (status == STATUS_OK) status = buffer_append(&line, "]\n", 2, &err);
    int code = status == STATUS_OK ? console_write(buffer_view(&line)) : console_fail(&err);
    buffer_free(&line);
    free(tokens.ids);
    return code;
}

static int print_line(const struct tokenizer *tokenizer, const char *line, size_t size,
                      size_t number, size_t truncate) {
    json_error_t where;
    json_t *value = json_loadb(line, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &where);
    if (!json_is_string(value)) {
        console_say("clipd: standard input, line %zu: %s, expected a JSON string", number,
                    value ? "another JSON value" : where.text);
        json_decref(value);
        return EX_DATAERR;
    }
    struct bytes text = {.data = (const uint8_t *)json_string_value(value),
                         .size = json_string_length(value)};
    int code = print_ids(tokenizer, text, truncate);
    json_decref(value);
    return code;
}

static int print_lines(const struct tokenizer *tokenizer, size_t truncate) {
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;
    int code = EX_OK;
    for (size_t number = 1; code == EX_OK && (size = getline(&line, &capacity, stdin)) >= 0;
         number++)
        code = print_line(tokenizer, line, (size_t)size, number, truncate);
    free(line);
    if (code == EX_OK && ferror(stdin)) {
        perror("clipd: cannot read standard input");
        code = EX_IOERR;
    }
    return code;
}

static int run(const struct arguments *arguments) {
    struct error err = ERROR_NONE;
    struct tokenizer_options options;
    struct tokenizer *tokenizer = NULL;
    enum status status = choose_options(&options, arguments, &err);
    char *path = arguments->vocab ? strdup(arguments->vocab) : layout_tokenizer(arguments->model);
    if (status == STATUS_OK && !path)
        status = error_set(&err, STATUS_NO_MEMORY, "out of memory for a path");
    if (status == STATUS_OK) status = tokenizer_open(&tokenizer, path, &options, &err);
    free(path);
    int code;
    if (status != STATUS_OK)
        code = console_fail(&err);
    else if (!strcmp(arguments->text, "-"))
        code = print_lines(tokenizer, arguments->truncate);
    else
        code = print_ids(tokenizer, bytes_of(arguments->text), arguments->truncate);
    tokenizer_close(tokenizer);
    return code;
}

int tokenize_command(int argc, char **argv) {
    static const struct option options[] = {
        {"model", required_argument, NULL, 'm'}, {"vocab", required_argument, NULL, 'v'},
        {"mode", required_argument, NULL, 'o'},  {"truncate", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},        {NULL, 0, NULL, 0},
    };
    struct arguments arguments = {.text = NULL};
    enum tokenizer_mode mode;
    char *end;
    int option;
    while ((option = getopt_long(argc, argv, "m:h", options, NULL)) != -1) {
        switch (option) {
        case 'm': arguments.model = optarg; break;
        case 'v': arguments.vocab = optarg; break;
        case 'o':
            arguments.mode = optarg;
            if (!tokenizer_mode_parse(&mode, optarg))
                return console_usage("tokenize",
                                     "--mode: found '%s', expected openai, open_clip "
                                     "or hf-fast",
                                     optarg);
            break;
        case 't':
            arguments.truncate = strtoul(optarg, &end, 10);
            if (*end || *optarg == '-' || arguments.truncate < 2 ||
                arguments.truncate > CONTEXT_MAX)
                return console_usage("tokenize", "--truncate: found '%s', expected 2 to %d", optarg,
                                     CONTEXT_MAX);
            break;
        case 'h': fputs(usage, stdout); return EX_OK;
        default: return console_usage_hint("tokenize");
        }
    }
    const char *model = getenv("CLIPD_MODEL");
    if (!arguments.model && !arguments.vocab && model && *model) arguments.model = model;
    if (!arguments.model && !arguments.vocab)
        return console_usage("tokenize", "expected --model DIR or --vocab FILE");
    if (argc - optind != 1)
        return console_usage("tokenize", "found %d texts, expected one", argc - optind);
    arguments.text = argv[optind];
    struct error err = ERROR_NONE;
    char *path = NULL;
    if (arguments.model && model_path_resolve(&path, arguments.model, &err))
        return console_fail_at(arguments.model, &err);
    if (path) arguments.model = path;
    int code = run(&arguments);
    free(path);
    return code;
}
