/* clipd pull: a model from a hub into the cache, and the folder that has it to standard
 * output, so that it can be passed on:  clipd serve --model "$(clipd pull ViT-B-32:openai)" */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/console.h"
#include "cli/progress.h"
#include "hub/catalogue.h"
#include "hub/pull.h"

static const char usage[] =
    "usage: clipd pull [--quiet] NAME...\n\n"
    "Downloads what a model needs into the cache that Python's huggingface_hub keeps, too;\n"
    "what is there already is not fetched again, and what was interrupted is gone on with.\n"
    "Prints the folder. 'clipd serve --model NAME' then finds it by the same name.\n\n"
    "  NAME       one of 'clipd models', or ORG/NAME[@REVISION] of a hub\n"
    "  --quiet    print errors only, and the folder\n"
    "  --help     print this\n\n"
    "$HF_ENDPOINT is the hub, $HF_TOKEN (or the file of a login) who asks, $HF_HUB_CACHE,\n"
    "$HF_HOME or $XDG_CACHE_HOME where files are kept; with $HF_HUB_OFFLINE=1 nothing is asked.\n";

struct screen {
    struct progress progress;
    const struct repository *repository;
};

static void show_plan(void *context, const char *commit, const struct pull_progress *progress) {
    struct screen *screen = context;
    char left[PROGRESS_SIZE_TEXT];
    progress_size(left, (double)(progress->total - progress->have));
    progress_print(&screen->progress, "%s at %.12s: %zu files, %s to fetch",
                   screen->repository->name, commit, progress->files, left);
    screen->progress.tenths = 0;
}

static void show_progress(void *context, const struct pull_progress *progress) {
    struct screen *screen = context;
    progress_update(&screen->progress, progress->have, progress->total);
}

static void show_file(void *context, const char *name, uint64_t size) {
    struct screen *screen = context;
    char text[PROGRESS_SIZE_TEXT];
    progress_size(text, (double)size);
    progress_print(&screen->progress, "  %s, %s", name, text);
}

static void show_notice(void *context, const char *message) {
    struct screen *screen = context;
    progress_print(&screen->progress, "clipd: %s", message);
}

static int print_folder(char *folder) {
    struct buffer line;
    struct error err = ERROR_NONE;
    buffer_init(&line, SIZE_MAX);
    enum status status = buffer_printf(&line, &err, "%s\n", folder);
    int code = status ? console_fail(&err) : console_write(buffer_view(&line));
    buffer_free(&line);
    return code;
}

static int pull(const char *name, const struct hub_settings *settings, bool quiet) {
    struct repository repository;
    struct screen screen = {.repository = &repository};
    const struct pull_observer observer = {show_plan, show_progress, show_file, show_notice,
                                           &screen};
    struct error err = ERROR_NONE;
    char *folder = NULL;
    progress_begin(&screen.progress, quiet);
    if (catalogue_resolve(&repository, name, &err)) return console_fail(&err);
    enum status status = pull_run(&folder, &repository, settings, &observer, &err);
    progress_end(&screen.progress);
    if (status) return console_fail(&err);
    int code = print_folder(folder);
    free(folder);
    return code;
}

int pull_command(int argc, char **argv) {
    static const struct option options[] = {
        {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct hub_settings settings;
    struct error err = ERROR_NONE;
    bool quiet = false;
    int option, code = EX_OK;
    while ((option = getopt_long(argc, argv, "qh", options, NULL)) != -1) {
        switch (option) {
        case 'q': quiet = true; break;
        case 'h': fputs(usage, stdout); return EX_OK;
        default: return console_usage_hint("pull");
        }
    }
    if (optind == argc) return console_usage("pull", "expected the name of a model");
    if (settings_read(&settings, (const char *const *)environ, &err)) {
        console_fail(&err);
        return EX_CONFIG;
    }
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error of write() then */
    for (int i = optind; i < argc && code == EX_OK; i++) code = pull(argv[i], &settings, quiet);
    settings_free(&settings);
    return code;
}
