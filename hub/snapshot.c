#include "hub/snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "hub/answer.h"
#include "hub/selection.h"

enum { PATH_SIZE_MAX = 8192, DEPTH_MAX = 3, FOLDER_MODE = 0777 };

enum status snapshot_path(char **out, const char *a, const char *b, const char *c,
                          struct error *err) {
    struct buffer path;
    buffer_init(&path, PATH_SIZE_MAX);
    enum status status = buffer_printf(&path, err, "%s/%s%s%s", a, b, *c ? "/" : "", c);
    if (!status) status = buffer_append(&path, "", 1, err);
    if (status)
        buffer_free(&path);
    else
        *out = (char *)path.data;
    return status;
}

/* "models--org--name" */
static void name_folder(char out[REPOSITORY_NAME_MAX + 16], const struct repository *repository) {
    size_t owner = strcspn(repository->name, "/");
    snprintf(out, REPOSITORY_NAME_MAX + 16, "models--%.*s--%s", (int)owner, repository->name,
             repository->name + owner + 1);
}

/* ---- finding ---- */

/* The files below a folder, as paths from it. What cannot be read is not there. */
static enum status list_files(struct file_list *out, const char *root, const char *below, int depth,
                              struct error *err) {
    char *folder = NULL;
    enum status status = snapshot_path(&folder, root, below, "", err);
    DIR *entries = folder && depth < DEPTH_MAX ? opendir(folder) : NULL;
    const struct dirent *entry;
    while (entries && !status && (entry = readdir(entries))) {
        char *path = NULL, *name = NULL;
        struct stat info;
        if (entry->d_name[0] == '.') continue;
        status = snapshot_path(&path, folder, entry->d_name, "", err);
        if (!status && *below) status = snapshot_path(&name, below, entry->d_name, "", err);
        const char *shown = name ? name : entry->d_name;
        bool there = !status && stat(path, &info) == 0;
        if (there && S_ISDIR(info.st_mode))
            status = list_files(out, root, shown, depth + 1, err);
        else if (there && S_ISREG(info.st_mode))
            status = file_list_add(out, shown, err);
        free(name);
        free(path);
    }
    if (entries) closedir(entries);
    free(folder);
    return status;
}

static enum status check_shards(const struct file_list *files, const char *folder,
                                const struct repository *repository,
                                const struct selection *selection, struct error *err) {
    struct file_list shards = {0};
    struct buffer text;
    char *path = NULL;
    buffer_init(&text, ANSWER_SIZE_MAX);
    enum status status = snapshot_path(&path, folder, selection->weights, "", err);
    if (!status) status = file_read(&text, path, err);
    if (!status) status = answer_read_index(&shards, selection->folder, buffer_view(&text), err);
    for (size_t i = 0; i < shards.count && !status; i++) {
        if (!file_list_has(files, shards.paths[i]))
            status = error_set(err, STATUS_NOT_FOUND, "%s is in %s without %.100s",
                               repository->name, folder, shards.paths[i]);
    }
    file_list_free(&shards);
    buffer_free(&text);
    free(path);
    return status;
}

static enum status check_weights(const char *folder, const struct repository *repository,
                                 struct error *err) {
    struct file_list files = {0};
    struct selection selection = {.weights = NULL};
    enum status status = list_files(&files, folder, "", 0, err);
    if (!status) status = selection_choose(&selection, &files, err);
    if (!status && !selection.weights)
        status = error_set(err, STATUS_NOT_FOUND, "%s is in %s without weights", repository->name,
                           folder);
    if (!status && selection.sharded)
        status = check_shards(&files, folder, repository, &selection, err);
    selection_free(&selection);
    file_list_free(&files);
    return status;
}

/* The commit that a revision was when it was last asked for; empty if it never was. */
static enum status read_reference(char out[REPOSITORY_COMMIT_SIZE + 1], const char *model,
                                  const char *revision, struct error *err) {
    struct error ignored = ERROR_NONE;
    struct buffer text;
    char *path = NULL;
    *out = 0;
    buffer_init(&text, REPOSITORY_COMMIT_SIZE + 2);
    enum status status = snapshot_path(&path, model, "refs", revision, err);
    bool read = !status && !file_read(&text, path, &ignored);
    size_t size = text.size;
    if (read && size && text.data[size - 1] == '\n') size--;
    if (read && size == REPOSITORY_COMMIT_SIZE) {
        memcpy(out, text.data, REPOSITORY_COMMIT_SIZE);
        out[REPOSITORY_COMMIT_SIZE] = 0;
        if (!repository_is_commit(out)) *out = 0;
    }
    buffer_free(&text);
    free(path);
    return status;
}

enum status snapshot_find(char **out, const char *cache, const struct repository *repository,
                          struct error *err) {
    char name[REPOSITORY_NAME_MAX + 16], commit[REPOSITORY_COMMIT_SIZE + 1] = "";
    char *model = NULL, *folder = NULL;
    struct stat info;
    name_folder(name, repository);
    enum status status = snapshot_path(&model, cache, name, "", err);
    if (repository_is_commit(repository->revision))
        memcpy(commit, repository->revision, sizeof(commit));
    else if (!status)
        status = read_reference(commit, model, repository->revision, err);
    if (!status) status = snapshot_path(&folder, model, "snapshots", commit, err);
    if (!status && (!*commit || stat(folder, &info) || !S_ISDIR(info.st_mode)))
        status = error_set(err, STATUS_NOT_FOUND, "%s@%.60s is not in %s", repository->name,
                           repository->revision, cache);
    if (!status) status = check_weights(folder, repository, err);
    free(model);
    if (status)
        free(folder);
    else
        *out = folder;
    return status;
}

/* ---- making ---- */

/* The folders above the last part of a path. */
static enum status make_folders(const char *path, struct error *err) {
    char *copy = strdup(path);
    enum status status = copy ? STATUS_OK : error_set(err, STATUS_NO_MEMORY, "out of memory");
    for (char *slash = copy ? strchr(copy + 1, '/') : NULL; slash && !status;
         slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(copy, FOLDER_MODE) && errno != EEXIST && errno != EROFS && errno != EACCES)
            status = error_set_errno(err, STATUS_IO, "make", copy);
        *slash = '/';
    }
    free(copy);
    return status;
}

static enum status make_folder(const char *path, struct error *err) {
    enum status status = make_folders(path, err);
    if (status || !mkdir(path, FOLDER_MODE) || errno == EEXIST) return status;
    return error_set_errno(err, STATUS_IO, "make", path);
}

enum status snapshot_open(struct snapshot *out, const char *cache,
                          const struct repository *repository, const char *commit,
                          struct error *err) {
    char name[REPOSITORY_NAME_MAX + 16], *blobs = NULL;
    name_folder(name, repository);
    *out = (struct snapshot){0};
    enum status status = snapshot_path(&out->model, cache, name, "", err);
    if (!status) status = snapshot_path(&out->locks, cache, ".locks", name, err);
    if (!status) status = snapshot_path(&out->folder, out->model, "snapshots", commit, err);
    if (!status) status = snapshot_path(&blobs, out->model, "blobs", "", err);
    if (!status) status = make_folder(blobs, err);
    if (!status) status = make_folder(out->locks, err);
    if (!status) status = make_folder(out->folder, err);
    free(blobs);
    if (status) snapshot_close(out);
    return status;
}

void snapshot_close(struct snapshot *snapshot) {
    free(snapshot->model);
    free(snapshot->locks);
    free(snapshot->folder);
    *snapshot = (struct snapshot){0};
}

bool snapshot_has(const struct snapshot *snapshot, const char *path) {
    struct stat info;
    char *file = NULL;
    bool found = !snapshot_path(&file, snapshot->folder, path, "", NULL) &&
                 stat(file, &info) == 0 && S_ISREG(info.st_mode);
    free(file);
    return found;
}

/* A name beside `path` that no other process uses. */
static enum status name_draft(char **out, const char *path, struct error *err) {
    char ending[32];
    snprintf(ending, sizeof(ending), ".%ld.new", (long)getpid());
    size_t size = strlen(path) + strlen(ending) + 1;
    *out = malloc(size);
    if (!*out) return error_set(err, STATUS_NO_MEMORY, "out of memory for a path");
    snprintf(*out, size, "%s%s", path, ending);
    return STATUS_OK;
}

/* Replaces `path` by the draft, which is gone either way. */
static enum status publish(const char *draft, const char *path, struct error *err) {
    if (!rename(draft, path)) return STATUS_OK;
    enum status status = error_set_errno(err, STATUS_IO, "write", path);
    unlink(draft);
    return status;
}

enum status snapshot_link(const struct snapshot *snapshot, const char *path, const char *digest,
                          struct error *err) {
    char *file = NULL, *draft = NULL;
    struct buffer target;
    buffer_init(&target, PATH_SIZE_MAX);
    enum status status = snapshot_path(&file, snapshot->folder, path, "", err);
    if (!status) status = make_folders(file, err);
    if (!status) status = name_draft(&draft, file, err);
    for (const char *c = strchr(path, '/'); c && !status; c = strchr(c + 1, '/'))
        status = buffer_append(&target, "../", 3, err);
    if (!status) status = buffer_printf(&target, err, "../../blobs/%s", digest);
    if (!status) status = buffer_append(&target, "", 1, err);
    if (!status) {
        unlink(draft); /* of a process that had our number and died */
        if (symlink((char *)target.data, draft))
            status = error_set_errno(err, STATUS_IO, "link", file);
        else
            status = publish(draft, file, err);
    }
    buffer_free(&target);
    free(draft);
    free(file);
    return status;
}

enum status snapshot_name(const struct snapshot *snapshot, const char *revision, const char *commit,
                          struct error *err) {
    char *file = NULL, *draft = NULL;
    if (repository_is_commit(revision)) return STATUS_OK; /* it is its own name */
    enum status status = snapshot_path(&file, snapshot->model, "refs", revision, err);
    if (!status) status = make_folders(file, err);
    if (!status) status = name_draft(&draft, file, err);
    if (!status) {
        int fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
        bool written =
            fd >= 0 && write(fd, commit, REPOSITORY_COMMIT_SIZE) == REPOSITORY_COMMIT_SIZE;
        if (fd >= 0 && close(fd)) written = false;
        status =
            written ? publish(draft, file, err) : error_set_errno(err, STATUS_IO, "write", draft);
    }
    free(draft);
    free(file);
    return status;
}
