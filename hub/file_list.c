#include "hub/file_list.h"

#include <stdlib.h>
#include <string.h>

enum { FILES_MAX = 10000, ROOM_MIN = 16 };

static enum status grow(struct file_list *list, struct error *err) {
    size_t room = list->room ? 2 * list->room : ROOM_MIN;
    char **paths = reallocarray(list->paths, room, sizeof(*paths));
    if (paths) list->paths = paths;
    char **sorted = reallocarray(list->sorted, room, sizeof(*sorted));
    if (sorted) list->sorted = sorted;
    if (!paths || !sorted)
        return error_set(err, STATUS_NO_MEMORY, "out of memory for %zu files", room);
    list->room = room;
    return STATUS_OK;
}

/* The first of the sorted paths that is not before this one. */
static size_t place_of(const struct file_list *list, const char *path) {
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(list->sorted[middle], path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

enum status file_list_add(struct file_list *list, const char *path, struct error *err) {
    if (list->count == FILES_MAX)
        return error_set(err, STATUS_TOO_LARGE, "more than %d files", FILES_MAX);
    enum status status = list->count == list->room ? grow(list, err) : STATUS_OK;
    if (status) return status;
    char *copy = strdup(path);
    if (!copy) return error_set(err, STATUS_NO_MEMORY, "out of memory for a path");
    size_t place = place_of(list, copy);
    memmove(list->sorted + place + 1, list->sorted + place,
            (list->count - place) * sizeof(*list->sorted));
    list->sorted[place] = copy;
    list->paths[list->count++] = copy;
    return STATUS_OK;
}

bool file_list_has(const struct file_list *list, const char *path) {
    size_t place = place_of(list, path);
    return place < list->count && !strcmp(list->sorted[place], path);
}

void file_list_free(struct file_list *list) {
    for (size_t i = 0; i < list->count; i++) free(list->paths[i]);
    free(list->paths);
    free(list->sorted);
    *list = (struct file_list){0};
}
