/* repository.h - what a model is called on a hub: "org/name", and "@revision" behind it for
 * another one than "main": a branch, a tag, a commit. */
#ifndef HUB_REPOSITORY_H
#define HUB_REPOSITORY_H

#include "core/base/bytes.h"

enum { REPOSITORY_NAME_MAX = 200, REPOSITORY_REVISION_MAX = 200, REPOSITORY_COMMIT_SIZE = 40 };

struct repository {
    char name[REPOSITORY_NAME_MAX + 1];         /* "org/name" */
    char revision[REPOSITORY_REVISION_MAX + 1]; /* "main" when none was given */
};

/* False when `text` is no such name; it may still be a path. */
bool repository_parse(struct repository *out, const char *text);

/* A path in a repository that stays within it and can be a path here: no empty part, no ".",
 * no "..", nothing absolute, no control characters, no backslashes, not too long. */
bool repository_path_is_safe(const char *path);

/* 40 digits of lower-case hexadecimal: the name of a commit. */
bool repository_is_commit(const char *revision);

#endif
