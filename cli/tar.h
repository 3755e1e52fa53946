/* tar.h - the files in a tar archive, one after the other: ustar, and the longer names that GNU
 * tar and pax put in front of a file. */
#ifndef CLI_TAR_H
#define CLI_TAR_H

#include "core/base/bytes.h"

struct tar {
    struct bytes rest;
    char joined[256]; /* a name that stands in two places */
};

/* The next plain file; *found is false behind the last one. `name` is a view without a NUL
 * in it or behind it, until the next call. STATUS_INVALID for what is damaged. */
enum status tar_next(struct tar *tar, struct bytes *name, struct bytes *data, bool *found,
                     struct error *err);

#endif
