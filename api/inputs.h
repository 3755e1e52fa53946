/* inputs.h - the images, texts or labels of one request, wherever they came from.
 *
 * Items are views into the request; what had to be decoded from base64 is kept here.
 * Their number is bounded before any of them is decoded. */
#ifndef API_INPUTS_H
#define API_INPUTS_H

#include <stdbool.h>

#include "core/base/bytes.h"

struct inputs {
    const char *noun;     /* "images": for messages; a literal */
    struct bytes *items;  /* [count] */
    uint8_t **decoded;    /* [count]: owned memory behind an item, or NULL */
    struct error *errors; /* [limit], or NULL while all items are good */
    size_t count, capacity, limit;
    bool tolerant; /* a damaged item is noted in `errors` and does not fail all */
    /* Where the items lie in the JSON, "/images"; of labels and templates also the part of a
     * form or the parameter that they came in. "" elsewhere */
    char pointer[64];
    bool is_list; /* item 3 is at "<pointer>/3", not at <pointer> itself */
};

/* `limit` is how many items there may be. */
void inputs_init(struct inputs *inputs, const char *noun, size_t limit);
void inputs_free(struct inputs *inputs);

/* Borrows `item`. STATUS_TOO_LARGE past the limit. */
enum status inputs_add(struct inputs *inputs, struct bytes item, struct error *err);
/* Whether it begins as a data: URI of an image does, which no text does. */
bool inputs_is_image_uri(struct bytes text);
/* An image as clients write it into JSON: base64, or a data: URI with base64. */
enum status inputs_add_image_text(struct inputs *inputs, struct bytes text, const char *pointer,
                                  struct error *err);
/* Refuses more than the limit before the first one is looked at. */
enum status inputs_check_count(const struct inputs *inputs, size_t count, const char *pointer,
                               struct error *err);

/* Completes the report on item err->input: adds where it lies in the JSON. */
void inputs_locate(const struct inputs *inputs, struct error *err);

#endif
