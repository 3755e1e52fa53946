/* tar.h - the files in a tar archive (ustar), one after the other. */
#ifndef CLI_TAR_H
#define CLI_TAR_H

#include "core/base/bytes.h"

struct tar {
    struct bytes rest;
};

/* The next plain file; *found is false behind the last one. `name` is a view without a NUL.
 * STATUS_INVALID for what is damaged. */
enum status tar_next(struct tar *tar, struct bytes *name, struct bytes *data, bool *found,
                     struct error *err);

#endif
