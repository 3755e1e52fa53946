#include "core/checkpoint/layout.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/file.h"

#define DIFFUSERS_WEIGHTS "text_encoder"
#define DIFFUSERS_TOKENIZER "tokenizer"

static bool exists(const char *directory, const char *name, mode_t type) {
    char *path = file_join(directory, name);
    struct stat info;
    bool found = path && stat(path, &info) == 0 && (info.st_mode & S_IFMT) == type;
    free(path);
    return found;
}

bool layout_has(const char *directory, const char *name) {
    return exists(directory, name, S_IFREG);
}

char *layout_weights(const char *path) {
    bool whole = layout_has(path, "config.json") || layout_has(path, "open_clip_config.json");
    if (!whole && layout_has(path, "modules.json") && exists(path, "0_CLIPModel", S_IFDIR)) {
        return file_join(path, "0_CLIPModel");
    }
    if (!whole && exists(path, DIFFUSERS_WEIGHTS, S_IFDIR)) {
        return file_join(path, DIFFUSERS_WEIGHTS);
    }
    return strdup(path);
}

/* ".../text_encoder_2/" has its vocabulary in ".../tokenizer_2". NULL if that is not so. */
static char *beside(const char *folder) {
    char *real = realpath(folder, NULL), *out = NULL;
    char *slash = real ? strrchr(real, '/') : NULL;
    size_t size = strlen(DIFFUSERS_WEIGHTS);
    if (slash && !strncmp(slash + 1, DIFFUSERS_WEIGHTS, size)) {
        struct buffer name;
        buffer_init(&name, strlen(slash) + sizeof(DIFFUSERS_TOKENIZER));
        *slash = 0;
        if (!buffer_printf(&name, NULL, DIFFUSERS_TOKENIZER "%s", slash + 1 + size) &&
            !buffer_append(&name, "", 1, NULL) && exists(real, (char *)name.data, S_IFDIR)) {
            out = file_join(real, (char *)name.data);
        }
        buffer_free(&name);
    }
    free(real);
    return out;
}

char *layout_tokenizer(const char *path) {
    char *weights = layout_weights(path);
    char *other = weights ? beside(weights) : NULL;
    if (!other) return weights;
    free(weights);
    return other;
}
