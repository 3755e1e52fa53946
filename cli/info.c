/* clipd info: what GET /models of a server with this model would answer. */
#include <getopt.h>
#include <stdio.h>
#include <sysexits.h>

#include "api/models.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/session.h"

enum { OUTPUT_SIZE_MAX = 1 << 20 };

static const char usage[] =
    "usage: clipd info --model DIR\n\n"
    "Opens a checkpoint and prints as JSON what it is, as GET /models does.\n\n"
    "  --model DIR      directory of the checkpoint, or a weight file ($CLIPD_MODEL)\n"
    "  --config FILE    configuration ($CLIPD_CONFIG); its default model is used\n"
    "  --help           print this\n";

static int print_models(struct registry *registry) {
    struct buffer out;
    struct writer writer;
    struct error err = ERROR_NONE;
    buffer_init(&out, OUTPUT_SIZE_MAX);
    writer_init(&writer, &out);
    models_write(&writer, registry);
    enum status status = writer_finish(&writer, &err);
    if (status == STATUS_OK) status = buffer_append(&out, "\n", 1, &err);
    int code = status == STATUS_OK ? console_write(buffer_view(&out)) : console_fail(&err);
    buffer_free(&out);
    return code;
}

int info_command(int argc, char **argv) {
    static const struct option options[] = {
        {"model", required_argument, NULL, 'm'},
        {"config", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct session_options chosen = {.model = NULL};
    int option;
    while ((option = getopt_long(argc, argv, "m:h", options, NULL)) != -1) {
        switch (option) {
        case 'm': chosen.model = optarg; break;
        case 'c': chosen.config = optarg; break;
        case 'h': fputs(usage, stdout); return EX_OK;
        default: return console_usage_hint("info");
        }
    }
    if (optind < argc)
        return console_usage("info", "found '%s', expected options only", argv[optind]);
    struct session session;
    int code = session_open(&session, &chosen);
    if (code != EX_OK) return code;
    code = print_models(session.registry);
    session_close(&session);
    return code;
}
