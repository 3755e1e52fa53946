/* clipd index: a folder of images into a collection, and again after it has changed.
 *
 * An item's id is the path of its file, and its metadata say how large and how old the file was:
 * one that still is both is not read again, so that a second run, or one after an interruption,
 * goes on where the first one ended. Files go through in groups, each put in before the next
 * one is begun. */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/console.h"
#include "cli/file_metadata.h"
#include "cli/follow.h"
#include "cli/library.h"
#include "cli/prune.h"
#include "cli/session.h"
#include "cli/thumbnail.h"
#include "core/base/clock.h"
#include "core/base/file.h"

enum { GROUP_MAX = 32, FILE_SIZE_MAX = 256 << 20, METADATA_SIZE_MAX = 3 * LIBRARY_PATH_MAX };

static const char usage[] =
    "usage: clipd index [OPTION]... DIR... --collection NAME\n\n"
    "Puts the images below DIR into a collection, which is made if it is not there: .jpg,\n"
    ".jpeg, .jfif, .jpe, .png and .webp. Other files are counted. Files that have not changed\n"
    "since the last time are skipped, so that it can be interrupted and run again. The id of an\n"
    "item is the path of its file.\n\n"
    "  --collection NAME  where to put them\n"
    "  --follow           go on, and put in what is added or changed\n"
    "  --prune            take out what is below DIR no more\n"
    "  --no-thumbnails    keep no small pictures for galleries\n"
    "  --store DIR        of collections ($CLIPD_STORE); the user's data directory by default\n"
    "  --model DIR        directory of the checkpoint, or a weight file ($CLIPD_MODEL)\n"
    "  --config FILE      configuration ($CLIPD_CONFIG); its default model is used\n"
    "  --help             print this\n";

/* One run of the command. */
struct index {
    struct session session;
    const char *collection;
    char *const *folders; /* NULL-terminated */
    bool follow, prune, no_thumbnails, on_terminal;
    int code; /* of the first file that failed */
    size_t total, seen, put, unchanged, failed, removed, others;
    uint64_t started_ns, shown_ns;
    size_t group_max;
    struct buffer unread; /* folders, as in struct prune */

    /* The group being collected. */
    size_t count;
    char *paths[GROUP_MAX];
    struct stat infos[GROUP_MAX];
};

/* ---- progress ---- */

static void show_progress(struct index *index, bool last) {
    uint64_t now = clock_now_ns();
    if (!index->on_terminal || (!last && now - index->shown_ns < CLOCK_NS_PER_S / 5)) return;
    double seconds = (double)(now - index->started_ns) / 1e9;
    double rate = seconds > 0 ? (double)index->put / seconds : 0;
    size_t left = index->total > index->seen ? index->total - index->seen : 0;
    unsigned left_s = rate > 0 ? (unsigned)((double)left / rate) : 0;
    index->shown_ns = now;
    fprintf(stderr, "\r%zu of %zu files, %zu unchanged, %.1f/s, %u:%02u left\033[K%s", index->seen,
            index->total, index->unchanged, rate, left_s / 60, left_s % 60, last ? "\n" : "");
}

static void note_failure(struct index *index, const char *path, const struct error *err) {
    if (index->on_terminal) fputs("\r\033[K", stderr);
    int code = console_fail_at(path, err);
    if (index->code == EX_OK) index->code = code;
    index->failed++;
}

/* ---- a group of files ---- */

static enum status visit_known(void *context, const struct item *item, struct error *err) {
    struct index *index = context;
    (void)err;
    for (size_t i = 0; i < index->count; i++) {
        if (!index->paths[i] || strlen(index->paths[i]) != item->id.size ||
            memcmp(index->paths[i], item->id.data, item->id.size) != 0 ||
            !file_metadata_fits(item->metadata, &index->infos[i])) {
            continue;
        }
        free(index->paths[i]);
        index->paths[i] = NULL;
        index->unchanged++;
    }
    return STATUS_OK;
}

static void drop_file(struct index *index, size_t at) {
    free(index->paths[at]);
    index->count--;
    index->seen++;
    memmove(index->paths + at, index->paths + at + 1,
            (index->count - at) * sizeof(index->paths[0]));
    memmove(index->infos + at, index->infos + at + 1,
            (index->count - at) * sizeof(index->infos[0]));
}

/* Forgets those of the group that are in the collection as they are, and those whose paths
 * cannot be ids: one is found at a time, before anything is fetched. */
static enum status drop_unchanged(struct index *index, struct error *err) {
    struct item_visitor visitor = {ITEM_METADATA, visit_known, index};
    struct bytes ids[GROUP_MAX];
    for (;;) {
        struct error found = ERROR_NONE;
        for (size_t i = 0; i < index->count; i++) ids[i] = bytes_of(index->paths[i]);
        enum status status = collection_fetch(index->session.collections, index->collection, ids,
                                              index->count, &visitor, &found);
        if (status != STATUS_INVALID || found.input < 0)
            return status ? error_pass(err, &found) : STATUS_OK;
        note_failure(index, index->paths[found.input], &found);
        drop_file(index, (size_t)found.input);
    }
}

/* A group on its way: files, embeddings, items. */
struct batch {
    struct buffer files[GROUP_MAX], thumbnails[GROUP_MAX], metadata[GROUP_MAX];
    struct bytes views[GROUP_MAX];
    struct error errors[GROUP_MAX];
    struct item items[GROUP_MAX];
    const char *paths[GROUP_MAX];
    float *embeddings; /* [GROUP_MAX, embed_dim] */
    size_t count;
};

static void batch_free(struct batch *batch) {
    for (size_t i = 0; i < GROUP_MAX; i++) {
        buffer_free(&batch->files[i]);
        buffer_free(&batch->thumbnails[i]);
        buffer_free(&batch->metadata[i]);
    }
    free(batch->embeddings);
    free(batch);
}

static void read_files(struct index *index, struct batch *batch) {
    for (size_t i = 0; i < index->count; i++) {
        struct buffer *file = &batch->files[batch->count];
        struct error err = ERROR_NONE;
        if (!index->paths[i]) continue;
        buffer_init(file, FILE_SIZE_MAX);
        buffer_init(&batch->metadata[batch->count], METADATA_SIZE_MAX);
        enum status status = file_read(file, index->paths[i], &err);
        if (!status) {
            status = file_metadata_write(&batch->metadata[batch->count], index->paths[i],
                                         &index->infos[i], &err);
        }
        if (status) {
            note_failure(index, index->paths[i], &err);
            buffer_free(file);
            buffer_free(&batch->metadata[batch->count]);
            continue;
        }
        batch->views[batch->count] = buffer_view(file);
        batch->paths[batch->count++] = index->paths[i];
    }
}

static void add_thumbnail(struct index *index, struct batch *batch, size_t from,
                          struct item *item) {
    const struct engine_image_limits *limits = &index->session.config.image_limits;
    struct image_limits image_limits = {limits->side_max, limits->pixels_max};
    if (index->no_thumbnails) return;
    buffer_init(&batch->thumbnails[from], COLLECTION_THUMBNAIL_MAX);
    /* Without, the image is found all the same. */
    if (!thumbnail_make(&batch->thumbnails[from], batch->views[from], &image_limits, NULL))
        item->thumbnail = buffer_view(&batch->thumbnails[from]);
}

static size_t make_items(struct index *index, struct batch *batch,
                         const struct collection_spec *spec) {
    uint32_t dim = engine_info(index->session.engine)->embed_dim;
    size_t count = 0;
    for (size_t i = 0; i < batch->count; i++) {
        struct item item = {.id = bytes_of(batch->paths[i]),
                            .embedding = batch->embeddings + i * dim,
                            .dim = dim,
                            .metadata = buffer_view(&batch->metadata[i]),
                            .has_digest = true};
        if (batch->errors[i].status || collection_check_item(spec, &item, &batch->errors[i])) {
            note_failure(index, batch->paths[i], &batch->errors[i]);
            continue;
        }
        sha256(item.digest, batch->views[i]);
        add_thumbnail(index, batch, i, &item);
        batch->items[count++] = item;
    }
    return count;
}

static enum status put_batch(struct index *index, struct batch *batch, struct error *err) {
    struct collection_spec spec;
    struct collection_upserted upserted;
    struct engine *engine = index->session.engine;
    struct engine_call call = {.deadline_ns = CLOCK_NEVER, .errors = batch->errors};
    enum status status =
        collection_describe(index->session.collections, index->collection, &spec, err);
    if (status) return status;
    batch->embeddings =
        calloc((size_t)GROUP_MAX * engine_info(engine)->embed_dim, sizeof(*batch->embeddings));
    if (!batch->embeddings) return error_set(err, STATUS_NO_MEMORY, "out of memory");
    read_files(index, batch);
    if (!batch->count) return STATUS_OK;
    status = engine_embed_images(engine, batch->views, batch->count, batch->embeddings, &call, err);
    if (status) return status;
    size_t count = make_items(index, batch, &spec);
    status = collection_upsert(index->session.collections, index->collection,
                               engine_info(engine)->sha256, batch->items, count, &upserted, err);
    if (!status) index->put += count;
    return status;
}

static enum status run_group(struct index *index, struct error *err) {
    if (!index->count) return STATUS_OK;
    struct batch *batch = calloc(1, sizeof(*batch));
    if (!batch) return error_set(err, STATUS_NO_MEMORY, "out of memory");
    enum status status = drop_unchanged(index, err);
    if (!status) status = put_batch(index, batch, err);
    batch_free(batch);
    for (size_t i = 0; i < index->count; i++) free(index->paths[i]);
    index->seen += index->count;
    index->count = 0;
    show_progress(index, false);
    return status;
}

/* ---- walking ---- */

static enum status count_file(void *context, const char *path, const struct stat *info,
                              struct error *err) {
    struct index *index = context;
    (void)path;
    (void)info;
    (void)err;
    index->total++;
    return STATUS_OK;
}

static enum status add_file(void *context, const char *path, const struct stat *info,
                            struct error *err) {
    struct index *index = context;
    index->paths[index->count] = strdup(path);
    if (!index->paths[index->count]) return error_set(err, STATUS_NO_MEMORY, "out of memory");
    index->infos[index->count++] = *info;
    return index->count == index->group_max ? run_group(index, err) : STATUS_OK;
}

static enum status note_unread(void *context, const char *path, struct error *err) {
    struct index *index = context;
    return buffer_append(&index->unread, path, strlen(path) + 1, err);
}

/* ---- following ---- */

static enum status follow_changed(void *context, const char *path, struct error *err) {
    struct index *index = context;
    struct library_visitor visitor = {.file = add_file, .context = index};
    struct stat info;
    if (lstat(path, &info)) return STATUS_OK;
    enum status status = library_walk(path, &visitor, err);
    return status ? status : run_group(index, err);
}

static enum status follow_gone(void *context, const char *path, struct error *err) {
    struct index *index = context;
    struct bytes id = bytes_of(path);
    uint64_t deleted = 0;
    struct error found = ERROR_NONE;
    enum status status =
        collection_delete(index->session.collections, index->collection, &id, 1, &deleted, &found);
    index->removed += deleted;
    /* A path that cannot be an id was never put in. */
    return status && status != STATUS_INVALID ? error_pass(err, &found) : STATUS_OK;
}

static enum status follow_folder_gone(void *context, const char *path, struct error *err) {
    struct index *index = context;
    struct prune prune = {index->session.collections, index->collection, {0}};
    return prune_folder(&index->removed, &prune, path, err);
}

/* ---- the command ---- */

static enum status make_collection(struct index *index, struct error *err) {
    const struct engine_info *info = engine_info(index->session.engine);
    struct collection_spec spec = {.dim = info->embed_dim};
    bool created;
    /* One that is there keeps its precision and fields. */
    enum status status =
        collection_describe(index->session.collections, index->collection, &spec, NULL);
    if (status == STATUS_NOT_FOUND) {
        snprintf(spec.name, sizeof(spec.name), "%s", index->collection);
        snprintf(spec.model, sizeof(spec.model), "%s", info->name);
        snprintf(spec.model_digest, sizeof(spec.model_digest), "%s", info->sha256);
        return collection_create(index->session.collections, &spec, &created, err);
    }
    if (!status && strcmp(spec.model_digest, info->sha256) != 0) {
        return error_set(err, STATUS_CONFLICT,
                         "collection %s is of model %s (%.12s), not of %s (%.12s)", spec.name,
                         spec.model, spec.model_digest, info->name, info->sha256);
    }
    return collection_describe(index->session.collections, index->collection, &spec, err);
}

static enum status run(struct index *index, struct follow *follow, struct error *err) {
    struct library_visitor count = {.file = count_file, .context = index, .others = &index->others};
    struct library_visitor add = {.file = add_file, .context = index, .unread = note_unread};
    char folder[PATH_MAX];
    enum status status = STATUS_OK;
    for (size_t i = 0; index->folders[i] && !status; i++) {
        if (!realpath(index->folders[i], folder))
            return error_set_errno(err, STATUS_NOT_FOUND, "open", index->folders[i]);
        status = library_check(folder, err);
        /* Before the first look, so that nothing falls between the two. */
        if (!status && follow) status = follow_add(follow, folder, err);
        if (!status) status = library_walk(folder, &count, err);
    }
    if (!status) status = make_collection(index, err);
    index->started_ns = clock_now_ns();
    for (size_t i = 0; index->folders[i] && !status; i++) {
        if (!realpath(index->folders[i], folder))
            return error_set_errno(err, STATUS_NOT_FOUND, "open", index->folders[i]);
        status = library_walk(folder, &add, err);
        if (!status) status = run_group(index, err);
        if (status || !index->prune) continue;
        struct prune prune = {index->session.collections, index->collection,
                              buffer_view(&index->unread)};
        status = prune_folder(&index->removed, &prune, folder, err);
    }
    show_progress(index, true);
    if (!status) {
        fprintf(stderr,
                "clipd: %zu put in, %zu unchanged, %zu failed, %zu taken out (%zu other files)\n",
                index->put, index->unchanged, index->failed, index->removed, index->others);
    }
    struct follow_visitor visitor = {follow_changed, follow_gone, follow_folder_gone, index};
    if (!status && follow) status = follow_run(follow, &visitor, err);
    return status;
}

static int index_folders(struct index *index) {
    struct follow *follow = NULL;
    struct error err = ERROR_NONE;
    buffer_init(&index->unread, SIZE_MAX);
    enum status status = index->follow ? follow_open(&follow, &err) : STATUS_OK;
    if (!status) status = run(index, follow, &err);
    follow_close(follow);
    buffer_free(&index->unread);
    return status ? console_fail(&err) : index->code;
}

int index_command(int argc, char **argv) {
    static const struct option options[] = {
        {"model", required_argument, NULL, 'm'},
        {"config", required_argument, NULL, 'c'},
        {"store", required_argument, NULL, 's'},
        {"collection", required_argument, NULL, 'C'},
        {"follow", no_argument, NULL, 'f'},
        {"prune", no_argument, NULL, 'p'},
        {"no-thumbnails", no_argument, NULL, 'n'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct index index = {.on_terminal = isatty(STDERR_FILENO)};
    struct session_options session = {.with_store = true};
    int option;
    while ((option = getopt_long(argc, argv, "m:h", options, NULL)) != -1) {
        switch (option) {
        case 'm': session.model = optarg; break;
        case 'c': session.config = optarg; break;
        case 's': session.store = optarg; break;
        case 'C': index.collection = optarg; break;
        case 'f': index.follow = true; break;
        case 'p': index.prune = true; break;
        case 'n': index.no_thumbnails = true; break;
        case 'h': fputs(usage, stdout); return EX_OK;
        default: return console_usage_hint("index");
        }
    }
    if (optind == argc) return console_usage("index", "expected a folder");
    if (!index.collection) return console_usage("index", "expected --collection NAME");
    index.folders = argv + optind;
    int code = session_open(&index.session, &session);
    if (code != EX_OK) return code;
    uint32_t queue_limit = index.session.config.runtime.queue_limit;
    index.group_max = queue_limit < GROUP_MAX ? queue_limit : GROUP_MAX;
    code = session_open_collections(&index.session);
    if (code == EX_OK) code = index_folders(&index);
    session_close(&index.session);
    return code;
}
