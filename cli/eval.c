/* clipd eval retrieval: how often a caption finds its own photograph, through a collection
 * that is made for it and dropped afterwards. */
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sysexits.h>

#include "api/writer.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/session.h"
#include "cli/tar.h"
#include "core/base/clock.h"
#include "core/base/file.h"

enum { GROUP_MAX = 64, DEPTH = 10 };
static const uint32_t depths[] = {1, 5, 10};

static const char usage[] =
    "usage: clipd eval retrieval [OPTION]... ARCHIVE.tar\n\n"
    "Prints as JSON how often a caption finds its photograph among the first 1, 5 and 10 hits\n"
    "of a collection of all of them. The archive holds the images and captions.json:\n"
    "{\"image.jpg\": [\"a caption\", ...], ...}. The collection is made in the store, and\n"
    "dropped afterwards.\n\n"
    "  --exact        never use the approximate index\n"
    "  --store DIR    of collections ($CLIPD_STORE); the user's data directory by default\n"
    "  --model DIR    directory of the checkpoint, or a weight file ($CLIPD_MODEL)\n"
    "  --config FILE  configuration ($CLIPD_CONFIG); its default model is used\n"
    "  --help         print this\n";

struct eval {
    struct session session;
    char collection[COLLECTION_NAME_MAX + 1];
    struct file_map archive;
    json_t *captions;
    json_t *pictures; /* an object with the names of those put in */
    bool exact;
    size_t images, asked;
    size_t found[sizeof(depths) / sizeof(depths[0])];

    /* The group being collected: images, or captions of images. */
    struct bytes inputs[GROUP_MAX];
    char names[GROUP_MAX][COLLECTION_ID_MAX + 1];
    size_t count;
    float *embeddings; /* [GROUP_MAX, embed_dim] */
};

static uint32_t dim_of(const struct eval *eval) {
    return engine_info(eval->session.engine)->embed_dim;
}

/* With the name as captions.json has it: "tar cf archive.tar ." puts "./" in front of all. */
static enum status next_entry(struct tar *tar, struct bytes *name, struct bytes *data, bool *found,
                              struct error *err) {
    enum status status = tar_next(tar, name, data, found, err);
    if (!status && *found && name->size > 2 && memcmp(name->data, "./", 2) == 0)
        *name = (struct bytes){name->data + 2, name->size - 2};
    return status;
}

/* ---- photographs ---- */

static enum status put_images(struct eval *eval, struct error *err) {
    struct item items[GROUP_MAX];
    struct collection_upserted upserted;
    struct engine_call call = {.deadline_ns = CLOCK_NEVER};
    if (!eval->count) return STATUS_OK;
    enum status status = engine_embed_images(eval->session.engine, eval->inputs, eval->count,
                                             eval->embeddings, &call, err);
    for (size_t i = 0; i < eval->count; i++) {
        items[i] = (struct item){.id = bytes_of(eval->names[i]),
                                 .embedding = eval->embeddings + i * dim_of(eval),
                                 .dim = dim_of(eval)};
    }
    if (!status) {
        status = collection_upsert(eval->session.collections, eval->collection,
                                   engine_info(eval->session.engine)->sha256, items, eval->count,
                                   &upserted, err);
    }
    eval->images += eval->count;
    eval->count = 0;
    return status;
}

/* Only one that has captions. */
static enum status take_image(struct eval *eval, struct bytes name, struct bytes data,
                              struct error *err) {
    const char *text = (const char *)name.data;
    if (!json_object_getn(eval->captions, text, name.size)) return STATUS_OK;
    if (name.size > COLLECTION_ID_MAX)
        return error_set(err, STATUS_INVALID, "a name has %zu bytes, the limit is %d", name.size,
                         COLLECTION_ID_MAX);
    char *copy = eval->names[eval->count];
    memcpy(copy, text, name.size);
    copy[name.size] = '\0';
    if (json_object_set_new(eval->pictures, copy, json_true()))
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    eval->inputs[eval->count++] = data;
    return eval->count == GROUP_MAX ? put_images(eval, err) : STATUS_OK;
}

/* A caption without its photograph could not be found, and would count all the same. */
static enum status check_pictures(const struct eval *eval, struct error *err) {
    const char *name;
    json_t *list;
    json_object_foreach(eval->captions, name, list) {
        if (!json_object_get(eval->pictures, name))
            return error_set(err, STATUS_INVALID,
                             "captions.json has captions of %.200s, which is not in the archive",
                             name);
    }
    return STATUS_OK;
}

static enum status read_archive(struct eval *eval, struct error *err) {
    struct tar tar = {.rest = eval->archive.bytes};
    struct bytes name, data;
    bool found;
    eval->pictures = json_object();
    enum status status = next_entry(&tar, &name, &data, &found, err);
    while (!status && found) {
        status = take_image(eval, name, data, err);
        if (!status) status = next_entry(&tar, &name, &data, &found, err);
    }
    if (!status) status = check_pictures(eval, err);
    return status ? status : put_images(eval, err);
}

static enum status check_captions(json_t *captions, struct error *err) {
    const char *name;
    json_t *list, *caption;
    size_t i;
    if (!json_is_object(captions))
        return error_set(err, STATUS_INVALID, "captions.json is no JSON object");
    json_object_foreach(captions, name, list) {
        bool good = json_is_array(list);
        json_array_foreach(list, i, caption) good &= json_is_string(caption);
        if (!good)
            return error_set(err, STATUS_INVALID,
                             "captions.json: found something else at %.200s, expected a list of "
                             "texts",
                             name);
    }
    return STATUS_OK;
}

static enum status read_captions(struct eval *eval, struct error *err) {
    struct tar tar = {.rest = eval->archive.bytes};
    struct bytes name, data;
    bool found;
    enum status status = next_entry(&tar, &name, &data, &found, err);
    for (; !status && found; status = next_entry(&tar, &name, &data, &found, err)) {
        if (name.size != 13 || memcmp(name.data, "captions.json", 13) != 0) continue;
        eval->captions = json_loadb((const char *)data.data, data.size, 0, NULL);
        return check_captions(eval->captions, err);
    }
    return status ? status : error_set(err, STATUS_INVALID, "the archive has no captions.json");
}

/* ---- captions ---- */

static enum status note_hit(void *context, const struct hit *hit, struct error *err) {
    struct eval *eval = context;
    const char *name = eval->names[hit->query];
    (void)err;
    if (strlen(name) != hit->item.id.size ||
        memcmp(name, hit->item.id.data, hit->item.id.size) != 0)
        return STATUS_OK;
    for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++)
        eval->found[i] += hit->rank < depths[i];
    return STATUS_OK;
}

static enum status ask(struct eval *eval, struct error *err) {
    struct search searches[GROUP_MAX];
    struct engine_call call = {.deadline_ns = CLOCK_NEVER};
    if (!eval->count) return STATUS_OK;
    enum status status = engine_embed_texts(eval->session.engine, eval->inputs, eval->count,
                                            eval->embeddings, &call, err);
    for (size_t i = 0; i < eval->count; i++) {
        searches[i] = (struct search){.embedding = eval->embeddings + i * dim_of(eval),
                                      .dim = dim_of(eval),
                                      .top_k = DEPTH,
                                      .score_min = -1,
                                      .exact = eval->exact};
    }
    if (!status) {
        status = collection_search(eval->session.collections, eval->collection, searches,
                                   eval->count, &(struct hit_visitor){0, note_hit, eval}, err);
    }
    eval->asked += eval->count;
    eval->count = 0;
    return status;
}

static enum status ask_captions(struct eval *eval, struct error *err) {
    const char *name;
    json_t *list;
    enum status status = STATUS_OK;
    json_object_foreach(eval->captions, name, list) {
        for (size_t i = 0; i < json_array_size(list) && !status; i++) {
            const char *caption = json_string_value(json_array_get(list, i));
            snprintf(eval->names[eval->count], sizeof(eval->names[0]), "%s", name);
            eval->inputs[eval->count++] = bytes_of(caption);
            if (eval->count == GROUP_MAX) status = ask(eval, err);
        }
    }
    return status ? status : ask(eval, err);
}

/* ---- the command ---- */

static int print_result(const struct eval *eval) {
    struct buffer out;
    struct writer writer;
    struct error err = ERROR_NONE;
    struct collection_stats stats = {.store = "", .index = ""};
    collection_stats(eval->session.collections, eval->collection, &stats, NULL);
    buffer_init(&out, 4096);
    writer_init(&writer, &out);
    writer_begin_object(&writer);
    writer_key(&writer, "model");
    writer_text(&writer, engine_info(eval->session.engine)->name);
    writer_key(&writer, "store");
    writer_text(&writer, stats.store);
    writer_key(&writer, "index");
    writer_text(&writer, stats.index);
    writer_key(&writer, "images");
    writer_uint(&writer, eval->images);
    writer_key(&writer, "captions");
    writer_uint(&writer, eval->asked);
    for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
        char name[32];
        snprintf(name, sizeof(name), "recall@%u", depths[i]);
        writer_key(&writer, name);
        writer_double(&writer, eval->asked ? (double)eval->found[i] / (double)eval->asked : 0);
    }
    writer_end_object(&writer);
    writer_line(&writer);
    int code = writer_finish(&writer, &err) ? console_fail(&err) : console_write(buffer_view(&out));
    buffer_free(&out);
    return code;
}

/* A name that no other run has, wherever it runs: in a container every process is the first. */
static enum status name_collection(struct eval *eval, struct error *err) {
    uint64_t number;
    if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
        return error_set_errno(err, STATUS_IO, "draw", "a name");
    snprintf(eval->collection, sizeof(eval->collection), "eval-%016" PRIx64, number);
    return STATUS_OK;
}

static int run(struct eval *eval, const char *path) {
    const struct engine_info *info = engine_info(eval->session.engine);
    struct collection_spec spec = {.dim = info->embed_dim};
    struct error err = ERROR_NONE;
    bool created = false;
    snprintf(spec.model, sizeof(spec.model), "%s", info->name);
    snprintf(spec.model_digest, sizeof(spec.model_digest), "%s", info->sha256);
    eval->embeddings = calloc((size_t)GROUP_MAX * info->embed_dim, sizeof(*eval->embeddings));
    enum status status = eval->embeddings ? file_map_open(&eval->archive, path, &err)
                                          : error_set(&err, STATUS_NO_MEMORY, "out of memory");
    if (!status) {
        status = read_captions(eval, &err);
        if (!status) status = name_collection(eval, &err);
        memcpy(spec.name, eval->collection, sizeof(spec.name));
        if (!status) status = collection_create(eval->session.collections, &spec, &created, &err);
        if (!status && !created)
            status = error_set(&err, STATUS_CONFLICT, "collection %s is there already", spec.name);
        if (!status) status = read_archive(eval, &err);
        if (!status) status = ask_captions(eval, &err);
    }
    int code = status ? console_fail_at(path, &err) : print_result(eval);
    if (created) collection_drop(eval->session.collections, eval->collection, NULL);
    if (eval->archive.address) file_map_close(&eval->archive);
    json_decref(eval->captions);
    json_decref(eval->pictures);
    free(eval->embeddings);
    return code;
}

int eval_command(int argc, char **argv) {
    static const struct option options[] = {
        {"model", required_argument, NULL, 'm'}, {"config", required_argument, NULL, 'c'},
        {"store", required_argument, NULL, 's'}, {"exact", no_argument, NULL, 'e'},
        {"help", no_argument, NULL, 'h'},        {NULL, 0, NULL, 0},
    };
    struct session_options chosen = {.with_store = true};
    bool exact = false;
    int option;
    while ((option = getopt_long(argc, argv, "m:h", options, NULL)) != -1) {
        switch (option) {
        case 'm': chosen.model = optarg; break;
        case 'c': chosen.config = optarg; break;
        case 's': chosen.store = optarg; break;
        case 'e': exact = true; break;
        case 'h': fputs(usage, stdout); return EX_OK;
        default: return console_usage_hint("eval");
        }
    }
    if (optind == argc || strcmp(argv[optind], "retrieval") != 0)
        return console_usage("eval", "expected retrieval");
    if (optind + 2 != argc) return console_usage("eval", "expected one archive");
    struct eval *eval = calloc(1, sizeof(*eval));
    if (!eval) return EX_OSERR;
    eval->exact = exact;
    int code = session_open(&eval->session, &chosen);
    if (code == EX_OK) {
        code = session_open_collections(&eval->session);
        if (code == EX_OK) code = run(eval, argv[optind + 1]);
        session_close(&eval->session);
    }
    free(eval);
    return code;
}
