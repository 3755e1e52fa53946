/* Tests have no use for an error they cannot handle: what goes wrong here aborts. */
#include "tests/support/files.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "core/base/file.h"

enum { FILE_SIZE_MAX = 256 << 20 };

struct buffer files_load(const char *path) {
    struct buffer file;
    buffer_init(&file, FILE_SIZE_MAX);
    struct error err = ERROR_NONE;
    if (file_read(&file, path, &err)) {
        fprintf(stderr, "%s\n", err.message);
        abort();
    }
    return file;
}

static size_t visit_path(const char *path, files_visit_fn *visit, void *context) {
    struct stat info;
    if (stat(path, &info)) abort();
    if (S_ISDIR(info.st_mode)) return files_each(path, visit, context);
    struct buffer file = files_load(path);
    visit(context, path, buffer_view(&file));
    buffer_free(&file);
    return 1;
}

size_t files_each(const char *folder, files_visit_fn *visit, void *context) {
    DIR *directory = opendir(folder);
    if (!directory) {
        perror(folder);
        abort();
    }
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (entry->d_name[0] == '.') continue;
        char *path = file_join(folder, entry->d_name);
        if (!path) abort();
        count += visit_path(path, visit, context);
        free(path);
    }
    closedir(directory);
    return count;
}
