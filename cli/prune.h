/* prune.h - what is below a folder no more, out of a collection whose ids are paths. */
#ifndef CLI_PRUNE_H
#define CLI_PRUNE_H

#include "core/index/collection.h"

struct prune {
    struct collections *collections;
    const char *collection;
    struct bytes unread; /* folders that could not be read, with a NUL behind each */
};

/* Takes out the items below `folder` whose files are gone, and adds to *removed how many. Gone
 * is what the system says is not there: a file of which it cannot say, and one below a folder
 * that could not be read, stays. */
enum status prune_folder(size_t *removed, const struct prune *prune, const char *folder,
                         struct error *err);

#endif
