/* /snapshots: copies of the whole store in files beside it, made while the service goes on,
 * and collections taken back from them. Clients name snapshots, never paths. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/collection_model.h"
#include "api/json_body.h"
#include "api/metrics.h"
#include "api/response.h"

enum { PATH_SIZE = 4096, NAME_MAX_SIZE = COLLECTION_NAME_MAX, PIECE_SIZE = 64 << 10 };
static const char ending[] = ".sqlite";

/* ---- names and paths ---- */

static enum status find_folder(const char **out, const struct api *api, struct error *err) {
    struct collections *collections;
    enum status status = collection_model_store(&collections, api, err);
    *out = api->snapshots;
    if (status || *out) return status;
    return error_set(err, STATUS_NOT_FOUND,
                     "a store in PostgreSQL has no snapshots: copy the database with pg_dump or "
                     "pg_basebackup");
}

static enum status find_path(char out[PATH_SIZE], const struct api *api, const char *name,
                             struct error *err) {
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    const char *folder;
    size_t size = strlen(name);
    enum status status = find_folder(&folder, api, err);
    if (status) return status;
    if (!size || size > NAME_MAX_SIZE || name[0] == '.' || strspn(name, allowed) != size) {
        return error_set(err, STATUS_INVALID,
                         "the name of a snapshot has 1 to %d letters, digits, \"-\", \"_\" and "
                         "\".\", which is not first",
                         NAME_MAX_SIZE);
    }
    if (snprintf(out, PATH_SIZE, "%s/%s%s", folder, name, ending) < PATH_SIZE) return STATUS_OK;
    return error_set(err, STATUS_TOO_LARGE, "the path of the snapshot is too long");
}

/* What errno says of a snapshot's file. */
static enum status report(const char *action, const char *name, struct error *err) {
    if (errno != ENOENT) return error_set_errno(err, STATUS_IO, action, "the snapshot");
    return error_set(err, STATUS_NOT_FOUND, "there is no snapshot \"%.64s\"", name);
}

/* ---- GET /snapshots ---- */

/* The name of a snapshot whose file this is. */
static bool name_of(struct bytes *out, const char *file) {
    size_t size = strlen(file), end = sizeof(ending) - 1;
    if (file[0] == '.' || size <= end || strcmp(file + size - end, ending) != 0) return false;
    *out = (struct bytes){(const uint8_t *)file, size - end};
    return true;
}

static int is_snapshot(const struct dirent *entry) {
    struct bytes name;
    return name_of(&name, entry->d_name);
}

/* In their order; each is to be freed, and the list. The folder is made for the first. */
static enum status list_files(struct dirent ***out, int *count, const char *folder,
                              struct error *err) {
    *out = NULL;
    *count = scandir(folder, out, is_snapshot, alphasort);
    if (*count >= 0) return STATUS_OK;
    *count = 0;
    return errno == ENOENT ? STATUS_OK
                           : error_set_errno(err, STATUS_IO, "read", "the folder of snapshots");
}

static void write_snapshot(struct writer *writer, const char *folder, const char *file) {
    char path[PATH_SIZE];
    struct stat info;
    struct bytes name;
    if (!name_of(&name, file) || snprintf(path, sizeof(path), "%s/%s", folder, file) >= PATH_SIZE ||
        stat(path, &info)) {
        return;
    }
    writer_begin_object(writer);
    writer_key(writer, "name");
    writer_string(writer, name);
    writer_key(writer, "bytes");
    writer_uint(writer, (uint64_t)info.st_size);
    writer_end_object(writer);
}

enum status snapshots_get(struct api *api, struct http_request *request,
                          struct http_response *response, struct error *err) {
    struct dirent **entries;
    struct writer writer;
    const char *folder;
    int count;
    (void)request;
    enum status status = find_folder(&folder, api, err);
    if (!status) status = list_files(&entries, &count, folder, err);
    if (status) return status;
    response_init(response, 200, "application/json");
    writer_init(&writer, &response->body);
    writer_begin_object(&writer);
    writer_key(&writer, "snapshots");
    writer_begin_array(&writer);
    for (int i = 0; i < count; i++) {
        write_snapshot(&writer, folder, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    writer_end_array(&writer);
    writer_end_object(&writer);
    return writer_finish(&writer, err);
}

/* ---- PUT and DELETE /snapshots/{snapshot} ---- */

/* Each takes as much of the disk as the store does. */
static enum status check_room(const struct api *api, const char *path, struct error *err) {
    struct dirent **entries;
    int count, most = (int)api->options.snapshots_max;
    if (!access(path, F_OK)) return STATUS_OK;
    enum status status = list_files(&entries, &count, api->snapshots, err);
    if (status) return status;
    for (int i = 0; i < count; i++) free(entries[i]);
    free(entries);
    if (count < most) return STATUS_OK;
    return error_set(err, STATUS_CONFLICT, "there are %d snapshots, the limit is %d", count, most);
}

/* In the place of one of the same name, once it is whole. */
enum status snapshot_put(struct api *api, struct http_request *request,
                         struct http_response *response, struct error *err) {
    char path[PATH_SIZE];
    struct stat info;
    enum status status = find_path(path, api, request->params[0], err);
    if (status) return status;
    if (mkdir(api->snapshots, 0700) && errno != EEXIST)
        return error_set_errno(err, STATUS_IO, "make", "the folder of snapshots");
    if (!turn_take(&api->making_snapshot, 0))
        return error_set(err, STATUS_OVERLOADED, "another snapshot is being made");
    status = check_room(api, path, err);
    if (!status) status = collections_snapshot(api->collections, path, err);
    turn_give(&api->making_snapshot);
    if (status) return status;
    if (stat(path, &info)) return error_set_errno(err, STATUS_IO, "read", "the snapshot");
    response_init(response, 200, "application/json");
    return buffer_printf(&response->body, err, "{\"name\":\"%s\",\"bytes\":%llu}",
                         request->params[0], (unsigned long long)info.st_size);
}

enum status snapshot_delete(struct api *api, struct http_request *request,
                            struct http_response *response, struct error *err) {
    char path[PATH_SIZE];
    enum status status = find_path(path, api, request->params[0], err);
    if (status) return status;
    if (unlink(path)) return report("delete", request->params[0], err);
    response_init(response, 200, "application/json");
    return buffer_printf(&response->body, err, "{\"deleted\":true}");
}

/* ---- GET /snapshots/{snapshot} ---- */

struct download {
    int fd;
};

static enum status produce(void *context, struct http_sink *sink, struct error *err) {
    struct download *download = context;
    uint8_t piece[PIECE_SIZE];
    for (;;) {
        ssize_t size = read(download->fd, piece, sizeof(piece));
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return error_set_errno(err, STATUS_IO, "read", "the snapshot");
        if (size == 0) return STATUS_OK;
        enum status status = sink->write(sink, (struct bytes){piece, (size_t)size}, err);
        if (status) return status;
    }
}

static void release(void *context) {
    struct download *download = context;
    close(download->fd);
    free(download);
}

enum status snapshot_get(struct api *api, struct http_request *request,
                         struct http_response *response, struct error *err) {
    char path[PATH_SIZE];
    enum status status = find_path(path, api, request->params[0], err);
    if (status) return status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return report("read", request->params[0], err);
    struct download *download = malloc(sizeof(*download));
    if (!download) {
        close(fd);
        return error_set(err, STATUS_NO_MEMORY, "out of memory");
    }
    download->fd = fd;
    response_init(response, 200, "application/vnd.sqlite3");
    response->produce = produce;
    response->release = release;
    response->context = download;
    return STATUS_OK;
}

/* ---- POST /collections/{name}/restore ---- */

static enum status read_name(char out[NAME_MAX_SIZE + 1], const struct http_request *request,
                             struct error *err) {
    static const char *const names[] = {"snapshot"};
    struct json_body json;
    struct bytes name;
    enum status status = json_body_parse(&json, request->body, 16, request->memory, err);
    if (status) return status;
    status = json_body_members(json.root, "", "this request", names, 1, err);
    if (!status) {
        status = json_body_string(&name, &json, json_object_get(json.root, "snapshot"), "/snapshot",
                                  err);
    }
    if (!status && (name.size > NAME_MAX_SIZE || memchr(name.data, 0, name.size))) {
        status = error_set_at(err, STATUS_INVALID, "/snapshot",
                              "the name of a snapshot has %zu bytes, the limit is %d", name.size,
                              NAME_MAX_SIZE);
    }
    if (!status) snprintf(out, NAME_MAX_SIZE + 1, "%.*s", (int)name.size, (const char *)name.data);
    json_body_free(&json);
    return status;
}

enum status collection_restore_post(struct api *api, struct http_request *request,
                                    struct http_response *response, struct error *err) {
    char name[NAME_MAX_SIZE + 1], path[PATH_SIZE];
    struct collection_stats stats;
    const char *folder;
    enum status status = find_folder(&folder, api, err);
    if (!status) status = read_name(name, request, err);
    if (!status) status = find_path(path, api, name, err);
    if (!status && access(path, F_OK)) status = report("read", name, err);
    if (!status) status = collection_model_take_room(api, request, request->params[0], err);
    if (!status) {
        status = collection_restore(api->collections, request->params[0], path, err);
        collection_model_give_room(api);
    }
    if (!status) status = collection_stats(api->collections, request->params[0], &stats, err);
    if (status) return status;
    item_counts_set(metrics_item_counts(api->metrics), request->params[0], stats.items);
    response_init(response, 200, "application/json");
    return buffer_printf(&response->body, err, "{\"items\":%llu}", (unsigned long long)stats.items);
}
