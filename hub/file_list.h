/* file_list.h - the paths of a repository's files. */
#ifndef HUB_FILE_LIST_H
#define HUB_FILE_LIST_H

#include "core/base/bytes.h"

struct file_list {
    char **paths;  /* [count], each allocated, in the order in which they came */
    char **sorted; /* [count], the same */
    size_t count, room;
};

/* A copy of `path`; STATUS_TOO_LARGE past any sensible number of files. Zeroed memory is an
 * empty list. */
enum status file_list_add(struct file_list *list, const char *path, struct error *err);
bool file_list_has(const struct file_list *list, const char *path);
void file_list_free(struct file_list *list);

#endif
