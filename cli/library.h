/* library.h - a folder of images, however deep. */
#ifndef CLI_LIBRARY_H
#define CLI_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "core/base/error.h"

enum { LIBRARY_PATH_MAX = 4096 };

/* Called for each image file, by its name's ending. What it returns, if not STATUS_OK, ends
 * the walk. */
typedef enum status library_file_fn(void *context, const char *path, const struct stat *info,
                                    struct error *err);
/* Called for each folder, before what is in it, or for each that cannot be read; NULL: not
 * wanted. */
typedef enum status library_folder_fn(void *context, const char *path, struct error *err);

struct library_visitor {
    library_file_fn *file;
    library_folder_fn *folder;
    void *context;
    library_folder_fn *unread;
    size_t *others; /* counts the files that are no images by their names; NULL: not wanted */
};

/* That there is something to walk at `path`: a folder, or a file that is an image by its name. */
enum status library_check(const char *path, struct error *err);

/* Walks `path` in the order of names: a folder, or one file. Links are not followed, hidden
 * folders and files left out, folders that cannot be read are warned of. */
enum status library_walk(const char *path, const struct library_visitor *visitor,
                         struct error *err);

/* .jpg, .jpeg, .jfif, .jpe, .png, .webp */
bool library_is_image(const char *name);

#endif
