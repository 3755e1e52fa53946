/* Configuration files: none crashes, and what loads prints as a file that loads again
 * and prints the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config/config.h"

static const char *const no_environment[] = {NULL};

/* Loads `yaml` from a file without a name, and prints what it says to `out`. */
static enum status load_and_print(struct buffer *out, struct bytes yaml) {
    char path[64];
    struct config config;
    int fd = memfd_create("yaml", MFD_CLOEXEC);
    if (fd < 0 || write(fd, yaml.data, yaml.size) != (ssize_t)yaml.size) abort();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    struct error err = ERROR_NONE;
    enum status status = config_load(&config, path, no_environment, NULL, &err);
    close(fd);
    if (status != STATUS_OK && !err.message[0]) abort();
    if (status != STATUS_OK) return status;
    if (config_print(&config, out, NULL) != STATUS_OK) abort();
    config_free(&config);
    return STATUS_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct buffer first, second;
    buffer_init(&first, 4 << 20);
    buffer_init(&second, 4 << 20);
    if (load_and_print(&first, (struct bytes){.data = data, .size = size}) == STATUS_OK) {
        if (load_and_print(&second, buffer_view(&first)) != STATUS_OK) abort();
        if (first.size != second.size || memcmp(first.data, second.data, first.size) != 0) abort();
    }
    buffer_free(&first);
    buffer_free(&second);
    return 0;
}
