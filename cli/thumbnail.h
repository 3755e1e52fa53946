/* thumbnail.h - a small picture of an image file, for galleries. */
#ifndef CLI_THUMBNAIL_H
#define CLI_THUMBNAIL_H

#include "core/image/image.h"

enum { THUMBNAIL_SIDE = 160 };

/* Appends a PNG of at most THUMBNAIL_SIDE pixels a side; a file that is small already is
 * taken as it is. */
enum status thumbnail_make(struct buffer *out, struct bytes file, const struct image_limits *limits,
                           struct error *err);

#endif
