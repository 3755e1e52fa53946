/* file_metadata.h - what the item of a file remembers of it: whether the file has changed is seen
 * by this. */
#ifndef CLI_FILE_METADATA_H
#define CLI_FILE_METADATA_H

#include <sys/stat.h>

#include "core/base/bytes.h"

/* Appends a JSON object of path, name, size and time of change. */
enum status file_metadata_write(struct buffer *out, const char *path, const struct stat *info,
                                struct error *err);
/* Whether the file still is as the object says. */
bool file_metadata_fits(struct bytes metadata, const struct stat *info);

#endif
