/* clipd dedupe: what of a collection is there twice, as files or nearly. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "api/writer.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/session.h"
#include "core/index/duplicates.h"

static const char usage[] =
    "usage: clipd dedupe [OPTION]... --collection NAME\n\n"
    "Prints clusters of items that were made of the same file, then of those that are alike:\n"
    "lines of a score and an id with an empty line between clusters on a terminal, else one\n"
    "JSON object a line and cluster. Nothing is deleted.\n\n"
    "  --collection NAME  where to look\n"
    "  --threshold X      the cosine from which on two are alike; 0.95 by default\n"
    "  --json             JSON also on a terminal\n"
    "  --store DIR        of collections ($CLIPD_STORE); the user's data directory by default\n"
    "  --config FILE      configuration ($CLIPD_CONFIG)\n"
    "  --help             print this\n";

struct output {
    struct buffer line;
    bool json;
    int code;
};

static enum status print_cluster(void *context, enum duplicates_tier tier,
                                 const struct duplicate *items, size_t count, struct error *err) {
    struct output *output = context;
    struct writer writer;
    const char *name = tier == DUPLICATES_FILES ? "file" : "embedding";
    enum status status = STATUS_OK;
    output->line.size = 0;
    writer_init(&writer, &output->line);
    if (output->json) {
        writer_begin_object(&writer);
        writer_key(&writer, "tier");
        writer_text(&writer, name);
        writer_key(&writer, "items");
        writer_begin_array(&writer);
    }
    for (size_t i = 0; i < count && !status; i++) {
        if (output->json) {
            writer_begin_object(&writer);
            writer_key(&writer, "id");
            writer_string(&writer, items[i].id);
            writer_key(&writer, "score");
            writer_float(&writer, items[i].score);
            writer_end_object(&writer);
        } else {
            status =
                buffer_printf(&output->line, err, "%.3f  %-9s  ", (double)items[i].score, name);
            if (!status) status = console_append(&output->line, items[i].id, err);
            if (!status) status = buffer_append(&output->line, "\n", 1, err);
        }
    }
    if (output->json) {
        writer_end_array(&writer);
        writer_end_object(&writer);
    }
    writer_line(&writer);
    if (!status) status = writer_finish(&writer, err);
    if (!status) output->code = console_write(buffer_view(&output->line));
    return status || output->code == EX_OK ? status : error_set(err, STATUS_IO, "the output ended");
}

static enum status go_on(void *context, struct error *err) {
    (void)context;
    (void)err;
    return STATUS_OK;
}

static int run(const struct session *session, const char *collection, float threshold, bool json) {
    struct output output = {.json = json || !isatty(STDOUT_FILENO), .code = EX_OK};
    struct duplicates_options options = {.threshold = threshold, .files = true, .embeddings = true};
    struct duplicates_visitor visitor = {print_cluster, go_on, &output};
    struct error err = ERROR_NONE;
    uint64_t items = 0;
    buffer_init(&output.line, SIZE_MAX);
    enum status status =
        duplicates_find(session->collections, collection, &options, &visitor, &items, &err);
    buffer_free(&output.line);
    if (output.code != EX_OK) return output.code;
    return status ? console_fail(&err) : EX_OK;
}

int dedupe_command(int argc, char **argv) {
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"store", required_argument, NULL, 's'},
        {"collection", required_argument, NULL, 'C'},
        {"threshold", required_argument, NULL, 't'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct session_options chosen = {.with_store = true, .no_model = true};
    struct session session;
    const char *collection = NULL;
    float threshold = 0.95F;
    bool json = false;
    char *end;
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 'c': chosen.config = optarg; break;
        case 's': chosen.store = optarg; break;
        case 'C': collection = optarg; break;
        case 't':
            threshold = strtof(optarg, &end);
            if (end == optarg || *end || !(threshold > 0 && threshold <= 1))
                return console_usage("dedupe",
                                     "--threshold is '%s', expected above 0 and at most 1", optarg);
            break;
        case 'j': json = true; break;
        case 'h': fputs(usage, stdout); return EX_OK;
        default: return console_usage_hint("dedupe");
        }
    }
    if (optind < argc)
        return console_usage("dedupe", "found '%s', expected options only", argv[optind]);
    if (!collection) return console_usage("dedupe", "expected --collection NAME");
    int code = session_open(&session, &chosen);
    if (code != EX_OK) return code;
    code = session_open_collections(&session);
    if (code == EX_OK) code = run(&session, collection, threshold, json);
    session_close(&session);
    return code;
}
