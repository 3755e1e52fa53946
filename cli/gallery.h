/* gallery.h - hits as a page that needs nothing beside it. */
#ifndef CLI_GALLERY_H
#define CLI_GALLERY_H

#include "core/index/collection.h"

/* Appends the beginning of the page, one picture, the end. What comes from items and from
 * the user is escaped; scripts are forbidden. Pictures are the items' thumbnails. */
enum status gallery_begin(struct buffer *out, const char *title, struct error *err);
enum status gallery_add(struct buffer *out, const struct item *item, float score,
                        struct error *err);
enum status gallery_end(struct buffer *out, struct error *err);

#endif
