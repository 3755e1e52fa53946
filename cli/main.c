/* The program: finds the subcommand and returns its exit code. */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/commands.h"

enum { SIGNAL_EXIT_BASE = 128 };

struct command {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
};

static const struct command commands[] = {
    {"serve", "answer embeddings and labels over HTTP", serve_command},
    {"embed", "print the embeddings of images or texts", embed_command},
    {"classify", "print the labels of an image, best first", classify_command},
    {"index", "put a folder of images into a collection", index_command},
    {"search", "find images of a collection by words or by an image", search_command},
    {"dedupe", "print the images of a collection that are the same, or nearly", dedupe_command},
    {"collections", "list the collections of a store", collections_command},
    {"eval", "measure how well captions find their photographs", eval_command},
    {"pull", "download a model", pull_command},
    {"models", "list the models that have a name, and how fast they would be here", models_command},
    {"info", "print what a checkpoint is", info_command},
    {"tokenize", "print the token ids of a text", tokenize_command},
    {"preprocess", "write the image that a model sees", preprocess_command},
    {"bench", "measure how fast models run here", bench_command},
    {"quantize", "find out which layers of a model bear int8", quantize_command},
    {"healthcheck", "ask a running server whether it is ready", healthcheck_command},
};
static const size_t commands_count = sizeof(commands) / sizeof(commands[0]);

static const struct command *find_command(const char *name) {
    for (size_t i = 0; i < commands_count; i++) {
        if (!strcmp(commands[i].name, name)) return &commands[i];
    }
    return NULL;
}

static void print_usage(FILE *out) {
    fputs("clipd serves CLIP embeddings on CPUs.\n\nusage: clipd COMMAND [OPTION]...\n\n", out);
    for (size_t i = 0; i < commands_count; i++)
        fprintf(out, "  %-12s %s\n", commands[i].name, commands[i].summary);
    fputs("  help         print this, or the help of a command\n\n"
          "'clipd COMMAND --help' lists its options; 'clipd --version' prints the version.\n",
          out);
}

static int help(const char *name) {
    if (!name) {
        print_usage(stdout);
        return EX_OK;
    }
    const struct command *command = find_command(name);
    if (!command) {
        fprintf(stderr, "clipd: there is no command '%s'; try 'clipd help'\n", name);
        return EX_USAGE;
    }
    char copy[] = "clipd", option[] = "--help";
    char *arguments[] = {copy, option, NULL};
    return command->run(2, arguments);
}

static void exit_now(int number) {
    _exit(SIGNAL_EXIT_BASE + number);
}

/* The kernel spares the first process of a container the signals that it does not handle. */
static void end_by_signals(void) {
    struct sigaction action = {.sa_handler = exit_now};
    if (getpid() != 1) return;
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
}

int main(int argc, char **argv) {
    end_by_signals();
    if (argc < 2) {
        print_usage(stderr);
        return EX_USAGE;
    }
    const char *name = argv[1];
    if (!strcmp(name, "--version") || !strcmp(name, "version")) {
        puts("clipd " CLIPD_VERSION);
        return EX_OK;
    }
    if (!strcmp(name, "help") || !strcmp(name, "--help") || !strcmp(name, "-h"))
        return help(argc > 2 ? argv[2] : NULL);
    const struct command *command = find_command(name);
    if (!command) {
        fprintf(stderr, "clipd: there is no command '%s'; try 'clipd help'\n", name);
        return EX_USAGE;
    }
    char full[64]; /* how getopt_long() calls it when it complains */
    snprintf(full, sizeof(full), "clipd %s", command->name);
    argv[1] = full;
    return command->run(argc - 1, argv + 1);
}
