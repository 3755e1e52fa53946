/* Watches are numbered upwards by the kernel, so that the number is the place in a list of
 * paths. Folders that come later are watched before they are reported, so that no file in
 * them is missed; some may be reported twice. */
#include "cli/follow.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "cli/library.h"
#include "core/base/bytes.h"
#include "core/base/log.h"

enum { WATCHES_MAX = 1 << 20, EVENTS_SIZE = 64 << 10 };

struct follow {
    int events;
    struct buffer paths; /* of char *: by watch */
};

static char **path_of(const struct follow *follow, int watch) {
    char **paths = (char **)(void *)follow->paths.data;
    size_t count = follow->paths.size / sizeof(char *);
    return watch >= 0 && (size_t)watch < count ? &paths[watch] : NULL;
}

enum status follow_open(struct follow **out, struct error *err) {
    struct follow *follow = calloc(1, sizeof(*follow));
    if (!follow) return error_set(err, STATUS_NO_MEMORY, "out of memory");
    buffer_init(&follow->paths, WATCHES_MAX * sizeof(char *));
    follow->events = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    *out = follow;
    if (follow->events >= 0) return STATUS_OK;
    return error_set_errno(err, STATUS_IO, "watch", "folders");
}

void follow_close(struct follow *follow) {
    if (!follow) return;
    for (int i = 0; path_of(follow, i); i++) free(*path_of(follow, i));
    buffer_free(&follow->paths);
    if (follow->events >= 0) close(follow->events);
    free(follow);
}

static enum status watch_folder(void *context, const char *path, struct error *err) {
    struct follow *follow = context;
    char *none = NULL;
    int watch = inotify_add_watch(follow->events, path,
                                  IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE |
                                      IN_MOVED_FROM | IN_ONLYDIR | IN_EXCL_UNLINK | IN_MASK_ADD);
    if (watch < 0 && errno == ENOENT) return STATUS_OK;
    if (watch < 0) return error_set_errno(err, STATUS_IO, "watch", path);
    enum status status = STATUS_OK;
    while (!status && !path_of(follow, watch))
        status = buffer_append(&follow->paths, &none, sizeof(none), err);
    if (status) return status;
    free(*path_of(follow, watch));
    *path_of(follow, watch) = strdup(path);
    return *path_of(follow, watch) ? STATUS_OK : error_set(err, STATUS_NO_MEMORY, "out of memory");
}

static enum status ignore_file(void *context, const char *path, const struct stat *info,
                               struct error *err) {
    (void)context;
    (void)path;
    (void)info;
    (void)err;
    return STATUS_OK;
}

static enum status watch_all(struct follow *follow, const char *folder, struct error *err) {
    struct library_visitor visitor = {
        .file = ignore_file, .folder = watch_folder, .context = follow};
    return library_walk(folder, &visitor, err);
}

/* Of what becomes of the folder itself the one above would tell, which is not watched. */
enum status follow_add(struct follow *follow, const char *folder, struct error *err) {
    enum status status = watch_all(follow, folder, err);
    if (status) return status;
    const uint32_t itself = IN_DELETE_SELF | IN_MOVE_SELF | IN_MASK_ADD;
    if (inotify_add_watch(follow->events, folder, itself) >= 0) return STATUS_OK;
    return error_set_errno(err, error_errno_status(), "watch", folder);
}

/* What happens in a folder that has been moved is told of no more, or by its new name. */
static void unwatch(struct follow *follow, const char *folder) {
    size_t size = strlen(folder);
    for (int i = 0; path_of(follow, i); i++) {
        char **path = path_of(follow, i);
        if (!*path || strncmp(*path, folder, size) != 0) continue;
        if ((*path)[size] && (*path)[size] != '/') continue;
        inotify_rm_watch(follow->events, i);
        free(*path);
        *path = NULL;
    }
}

static enum status handle_gone(struct follow *follow, const char *path, uint32_t mask,
                               const struct follow_visitor *visitor, struct error *err) {
    if (!(mask & IN_ISDIR)) return visitor->gone(visitor->context, path, err);
    if (mask & IN_DELETE) return STATUS_OK; /* it was empty */
    unwatch(follow, path);
    return visitor->folder_gone(visitor->context, path, err);
}

static enum status handle(struct follow *follow, const struct inotify_event *event,
                          const struct follow_visitor *visitor, struct error *err) {
    char path[LIBRARY_PATH_MAX];
    char **folder = path_of(follow, event->wd);
    if (event->mask & IN_Q_OVERFLOW)
        log_message(LOG_WARNING, "changes came too fast: run it again to see them all");
    if (folder && *folder && event->mask & (IN_DELETE_SELF | IN_MOVE_SELF))
        return error_set(err, STATUS_NOT_FOUND, "%s was moved or deleted: it is followed no more",
                         *folder);
    if (!folder || !*folder || !event->len || event->name[0] == '.') return STATUS_OK;
    if (snprintf(path, sizeof(path), "%s/%s", *folder, event->name) >= LIBRARY_PATH_MAX)
        return STATUS_OK;
    if (event->mask & (IN_DELETE | IN_MOVED_FROM))
        return handle_gone(follow, path, event->mask, visitor, err);
    if (event->mask & IN_ISDIR) {
        enum status status = watch_all(follow, path, err);
        if (status == STATUS_NOT_FOUND) return STATUS_OK;
        if (status) return status;
    } else if (event->mask & IN_CREATE || !library_is_image(path)) {
        return STATUS_OK; /* it is being written */
    }
    return visitor->changed(visitor->context, path, err);
}

static enum status handle_all(struct follow *follow, const struct follow_visitor *visitor,
                              struct error *err) {
    _Alignas(struct inotify_event) char events[EVENTS_SIZE];
    ssize_t size = read(follow->events, events, sizeof(events));
    enum status status = STATUS_OK;
    for (ssize_t at = 0; at < size && !status;) {
        const struct inotify_event *event =
            (const struct inotify_event *)(const void *)(events + at);
        at += (ssize_t)(sizeof(*event) + event->len);
        status = handle(follow, event, visitor, err);
    }
    return status;
}

enum status follow_run(struct follow *follow, const struct follow_visitor *visitor,
                       struct error *err) {
    struct pollfd polled = {.fd = follow->events, .events = POLLIN};
    enum status status = STATUS_OK;
    while (!status) {
        if (poll(&polled, 1, -1) < 0 && errno != EINTR)
            return error_set_errno(err, STATUS_IO, "wait for", "changes");
        if (polled.revents) status = handle_all(follow, visitor, err);
    }
    return status;
}
