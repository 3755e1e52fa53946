/* body_row.h - the fields that bodies of native routes may have, in one table, and their
 * values as text. For body.c alone. */
#ifndef API_BODY_ROW_H
#define API_BODY_ROW_H

#include "api/body.h"

enum { BODY_POINTER_SIZE = 64, BODY_FIELDS_COUNT = 17 };

enum body_kind {
    BODY_KIND_MODEL,
    BODY_KIND_FLAG,
    BODY_KIND_WORD, /* one of two: a flag */
    BODY_KIND_COUNT,
    BODY_KIND_LAYER,
    BODY_KIND_IMAGES,
    BODY_KIND_STRINGS,
};

struct body_row {
    const char *name;
    enum body_field bit;
    enum body_kind kind;
    bool is_list;         /* of JSON: an array */
    const char *words[2]; /* for false and for true */
};

/* A list has a singular and a plural, for one item and for many. */
extern const struct body_row body_rows[BODY_FIELDS_COUNT];

/* Images, texts, labels or templates, rather than an option. */
bool body_row_is_input(const struct body_row *row);
/* The row of an allowed field of that name; NULL after a report. */
const struct body_row *body_row_find(const char *name, unsigned allowed, struct error *err);
/* Begins or goes on with a list of inputs, which is given under one name: a second one, as
 * "template" beside "templates", is STATUS_INVALID. */
enum status body_row_list(struct inputs *inputs, const struct body_row *row, const char *pointer,
                          struct error *err);
/* Where the values of a field go. */
bool *body_row_flag(struct body *body, enum body_field bit);
struct inputs *body_row_inputs(struct body *body, enum body_field bit);

/* One of the row's words. */
enum status body_row_word(struct body *body, const struct body_row *row, struct bytes word,
                          const char *pointer, struct error *err);
/* A value as parts and queries have it. */
enum status body_row_text(struct body *body, const struct body_row *row, struct bytes text,
                          struct error *err);

#endif
