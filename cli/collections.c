/* clipd collections: what a store holds. */
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

enum { LIST_SIZE_MAX = 64 << 20 };

static const char usage[] =
    "usage: clipd collections [OPTION]...\n\n"
    "Lists the collections of a store: a table on a terminal, else one JSON object a line.\n\n"
    "  --drop NAME    delete this one with all its items instead\n"
    "  --json         JSON also on a terminal\n"
    "  --store DIR    of collections ($CLIPD_STORE); the user's data directory by default\n"
    "  --config FILE  configuration ($CLIPD_CONFIG)\n"
    "  --help         print this\n";

struct names {
    char (*items)[COLLECTION_NAME_MAX + 1]; /* [count] */
    size_t count;
};

static enum status note_name(void *context, const struct collection_spec *spec, struct error *err) {
    struct names *names = context;
    void *grown = realloc(names->items, (names->count + 1) * sizeof(*names->items));
    if (!grown) return error_set(err, STATUS_NO_MEMORY, "out of memory");
    names->items = grown;
    memcpy(names->items[names->count++], spec->name, sizeof(spec->name));
    return STATUS_OK;
}

static void write_number(struct writer *writer, const char *name, uint64_t number) {
    writer_key(writer, name);
    writer_uint(writer, number);
}

static enum status describe(struct buffer *out, const struct session *session, const char *name,
                            bool json, struct error *err) {
    struct collection_spec spec;
    struct collection_stats stats;
    struct writer writer;
    enum status status = collection_describe(session->collections, name, &spec, err);
    if (!status) status = collection_stats(session->collections, name, &stats, err);
    if (status) return status;
    if (!json) {
        status = buffer_printf(out, err, "%-24s %10llu items  %6u dim  ", name,
                               (unsigned long long)stats.items, spec.dim);
        if (!status) status = console_append(out, bytes_of(spec.model), err);
        return status ? status : buffer_printf(out, err, " (%.12s)\n", spec.model_digest);
    }
    writer_init(&writer, out);
    writer_begin_object(&writer);
    writer_key(&writer, "name");
    writer_text(&writer, name);
    write_number(&writer, "items", stats.items);
    writer_key(&writer, "model");
    writer_text(&writer, spec.model);
    writer_key(&writer, "model_digest");
    writer_text(&writer, spec.model_digest);
    write_number(&writer, "dim", spec.dim);
    write_number(&writer, "bytes_stored", stats.bytes_stored);
    writer_end_object(&writer);
    writer_line(&writer);
    return writer_finish(&writer, err);
}

static int list(const struct session *session, bool json) {
    struct names names = {NULL, 0};
    struct error err = ERROR_NONE;
    struct buffer out;
    buffer_init(&out, LIST_SIZE_MAX);
    enum status status = collection_list(session->collections, note_name, &names, &err);
    for (size_t i = 0; i < names.count && !status; i++)
        status = describe(&out, session, names.items[i], json, &err);
    int code = status ? console_fail(&err) : console_write(buffer_view(&out));
    free(names.items);
    buffer_free(&out);
    return code;
}

int collections_command(int argc, char **argv) {
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"store", required_argument, NULL, 's'},
        {"drop", required_argument, NULL, 'd'},   {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    struct session_options chosen = {.with_store = true, .no_model = true};
    struct session session;
    struct error err = ERROR_NONE;
    const char *drop = NULL;
    bool json = false;
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 'c': chosen.config = optarg; break;
        case 's': chosen.store = optarg; break;
        case 'd': drop = optarg; break;
        case 'j': json = true; break;
        case 'h': fputs(usage, stdout); return EX_OK;
        default: return console_usage_hint("collections");
        }
    }
    if (optind < argc)
        return console_usage("collections", "found '%s', expected options only", argv[optind]);
    int code = session_open(&session, &chosen);
    if (code != EX_OK) return code;
    code = session_open_collections(&session);
    if (code == EX_OK && drop) {
        if (collection_drop(session.collections, drop, &err)) code = console_fail(&err);
    } else if (code == EX_OK) {
        code = list(&session, json || !isatty(STDOUT_FILENO));
    }
    session_close(&session);
    return code;
}
