#include "hub/file_list.h"

#include <stdlib.h>
#include <string.h>

enum { FILES_MAX = 10000, ROOM_MIN = 16 };

enum status file_list_add(struct file_list *list, const char *path, struct error *err) {
    if (list->count == FILES_MAX)
        return error_set(err, STATUS_TOO_LARGE, "more than %d files", FILES_MAX);
    if (list->count == list->room) {
        size_t room = list->room ? 2 * list->room : ROOM_MIN;
        char **paths = reallocarray(list->paths, room, sizeof(*paths));
        if (!paths) return error_set(err, STATUS_NO_MEMORY, "out of memory for %zu files", room);
        list->paths = paths;
        list->room = room;
    }
    char *copy = strdup(path);
    if (!copy) return error_set(err, STATUS_NO_MEMORY, "out of memory for a path");
    list->paths[list->count++] = copy;
    return STATUS_OK;
}

bool file_list_has(const struct file_list *list, const char *path) {
    for (size_t i = 0; i < list->count; i++) {
        if (!strcmp(list->paths[i], path)) return true;
    }
    return false;
}

void file_list_free(struct file_list *list) {
    for (size_t i = 0; i < list->count; i++) free(list->paths[i]);
    free(list->paths);
    *list = (struct file_list){0};
}
