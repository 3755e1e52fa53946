#include "cli/library.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/log.h"

enum { DEPTH_MAX = 64 };

bool library_is_image(const char *name) {
    static const char *const endings[] = {".jpg", ".jpeg", ".jfif", ".jpe", ".png", ".webp"};
    size_t size = strlen(name);
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        size_t ending = strlen(endings[i]);
        if (size > ending && !strcasecmp(name + size - ending, endings[i])) return true;
    }
    return false;
}

static int is_wanted(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static enum status walk(const char *path, int depth, const struct library_visitor *visitor,
                        struct error *err);

static enum status walk_folder(const char *path, int depth, const struct library_visitor *visitor,
                               struct error *err) {
    struct dirent **entries;
    enum status status = visitor->folder ? visitor->folder(visitor->context, path, err) : STATUS_OK;
    if (status) return status;
    int count = depth < DEPTH_MAX ? scandir(path, &entries, is_wanted, alphasort) : -1;
    if (count < 0) {
        log_message(LOG_WARNING, "cannot read folder %s", path);
        return visitor->unread ? visitor->unread(visitor->context, path, err) : STATUS_OK;
    }
    for (int i = 0; i < count; i++) {
        char child[LIBRARY_PATH_MAX];
        int size = snprintf(child, sizeof(child), "%s/%s", path, entries[i]->d_name);
        if (!status && size < LIBRARY_PATH_MAX) status = walk(child, depth + 1, visitor, err);
        free(entries[i]);
    }
    free(entries);
    return status;
}

static enum status walk(const char *path, int depth, const struct library_visitor *visitor,
                        struct error *err) {
    struct stat info;
    if (lstat(path, &info)) return STATUS_OK; /* it has just gone */
    if (S_ISDIR(info.st_mode)) return walk_folder(path, depth, visitor, err);
    if (!S_ISREG(info.st_mode)) return STATUS_OK;
    if (!library_is_image(path)) {
        if (visitor->others) ++*visitor->others;
        return STATUS_OK;
    }
    return visitor->file(visitor->context, path, &info, err);
}

enum status library_check(const char *path, struct error *err) {
    struct stat info;
    if (stat(path, &info)) return error_set_errno(err, STATUS_NOT_FOUND, "open", path);
    if (S_ISDIR(info.st_mode) || (S_ISREG(info.st_mode) && library_is_image(path)))
        return STATUS_OK;
    return error_set(err, STATUS_INVALID,
                     "%s is no image by its name, expected a folder, or .jpg, .jpeg, .jfif, .jpe, "
                     ".png or .webp",
                     path);
}

enum status library_walk(const char *path, const struct library_visitor *visitor,
                         struct error *err) {
    struct stat info;
    if (stat(path, &info)) return error_set_errno(err, STATUS_NOT_FOUND, "open", path);
    return walk(path, 0, visitor, err);
}
