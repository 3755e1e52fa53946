/* replay.c - runs a fuzz target over files and folders, without a fuzzer.
 *
 * Every file named, or found below a folder named, goes through
 * LLVMFuzzerTestOneInput() once. A crash is the failure; how many inputs ran is
 * printed, and none at all is a failure, too. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/file.h"

enum { FILE_SIZE_MAX = 64 << 20, PATH_SIZE = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t inputs;

static void replay_file(const char *path) {
    struct buffer file;
    buffer_init(&file, FILE_SIZE_MAX);
    if (file_read(&file, path, NULL) == STATUS_OK) {
        /* A copy of the exact size, so that the sanitizer sees reads past the end. */
        uint8_t *data = malloc(file.size ? file.size : 1);
        if (!data) abort();
        if (file.size) memcpy(data, file.data, file.size);
        LLVMFuzzerTestOneInput(data, file.size);
        free(data);
        inputs++;
    }
    buffer_free(&file);
}

static void replay(const char *path) {
    struct stat info;
    if (stat(path, &info)) return;
    if (!S_ISDIR(info.st_mode)) {
        replay_file(path);
        return;
    }
    DIR *directory = opendir(path);
    if (!directory) return;
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (entry->d_name[0] == '.') continue;
        char child[PATH_SIZE];
        if (snprintf(child, sizeof(child), "%s/%s", path, entry->d_name) < PATH_SIZE) replay(child);
    }
    closedir(directory);
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) replay(argv[i]);
    printf("%s: %zu inputs\n", argv[0], inputs);
    return inputs == 0;
}
