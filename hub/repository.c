#include "hub/repository.h"

#include <stdio.h>
#include <string.h>

enum { PATH_MAX_SIZE = 1000, PART_MAX_SIZE = 200 };

/* One of the two parts of a name, as the hub allows them. */
static bool is_part(const char *text, size_t size) {
    static const char others[] = "-_.";
    if (size == 0 || text[0] == '.' || text[0] == '-') return false;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain && (!c || !strchr(others, c))) return false;
        /* "--" stands for the slash in the cache. */
        if (i && (c == '.' || c == '-') && text[i - 1] == c) return false;
    }
    return true;
}

bool repository_parse(struct repository *out, const char *text) {
    size_t size = strcspn(text, "@"), owner = strcspn(text, "/");
    const char *revision = text[size] ? text + size + 1 : "main";
    if (size > REPOSITORY_NAME_MAX || owner >= size) return false;
    if (!is_part(text, owner) || !is_part(text + owner + 1, size - owner - 1)) return false;
    if (strlen(revision) > REPOSITORY_REVISION_MAX || !repository_path_is_safe(revision))
        return false;
    snprintf(out->name, sizeof(out->name), "%.*s", (int)size, text);
    snprintf(out->revision, sizeof(out->revision), "%s", revision);
    return true;
}

bool repository_path_is_safe(const char *path) {
    if (strlen(path) > PATH_MAX_SIZE) return false;
    for (const char *c = path; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f || *c == '\\') return false;
    }
    for (;;) {
        size_t size = strcspn(path, "/");
        bool dots = size <= 2 && !strncmp(path, "..", size);
        if (dots || size > PART_MAX_SIZE) return false; /* the empty part, too */
        if (!path[size]) return true;
        path += size + 1;
    }
}

bool repository_is_commit(const char *revision) {
    return strspn(revision, "0123456789abcdef") == REPOSITORY_COMMIT_SIZE &&
           !revision[REPOSITORY_COMMIT_SIZE];
}
