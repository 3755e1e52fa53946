/* query.h - one SQL statement with its parameters, put together piece by piece.
 *
 * Values never become part of the text: each is added in PostgreSQL's binary form and gets
 * a number, "$3". The first failure, no memory or too much of it, sticks, and whoever runs
 * the statement reports it; so nothing here returns a status. */
#ifndef CORE_INDEX_POSTGRES_QUERY_H
#define CORE_INDEX_POSTGRES_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/bytes.h"

struct pg_result; /* libpq's PGresult; what needs libpq itself includes it in its .c */

/* The types of arrays' elements, from PostgreSQL's pg_type.dat. That of pgvector's vector
 * differs from database to database: struct postgres_link has it. */
enum { POSTGRES_BYTEA = 17, POSTGRES_INT8 = 20, POSTGRES_TEXT = 25, POSTGRES_FLOAT8 = 701 };

/* Gets each row of the answer, all columns binary. What it returns, if not STATUS_OK, ends the
 * statement. */
typedef enum status postgres_row_fn(void *context, const struct pg_result *row, struct error *err);

struct postgres_query {
    struct buffer sql, values;
    struct buffer offsets;  /* size_t each: where a value begins */
    unsigned count;         /* of values */
    bool once;              /* not worth preparing */
    postgres_row_fn *visit; /* NULL: rows are of no interest */
    void *context;
    struct error failure;
};

void postgres_query_init(struct postgres_query *query);
void postgres_query_free(struct postgres_query *query);

/* Adds to the text. */
void postgres_query_add(struct postgres_query *query, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Adds a text constant, quoted: for what must be the same text in an index and a statement. */
void postgres_query_add_quoted(struct postgres_query *query, struct bytes text);

/* Add a value; they return its number. */
unsigned postgres_query_bytes(struct postgres_query *query, struct bytes value);
unsigned postgres_query_int8(struct postgres_query *query, int64_t value);
unsigned postgres_query_float8(struct postgres_query *query, double value);
unsigned postgres_query_vector(struct postgres_query *query, const float *value, size_t dim);

/* Begins an array of `count` elements of that type; they follow, one call for each. */
unsigned postgres_query_array(struct postgres_query *query, unsigned type, size_t count);
void postgres_query_element(struct postgres_query *query, struct bytes value);
void postgres_query_element_null(struct postgres_query *query);
void postgres_query_element_float8(struct postgres_query *query, double value);
void postgres_query_element_vector(struct postgres_query *query, const float *value, size_t dim);

/* Columns of a row. */
struct bytes postgres_row_bytes(const struct pg_result *row, int column);
int64_t postgres_row_int8(const struct pg_result *row, int column);
bool postgres_row_bool(const struct pg_result *row, int column);
float postgres_row_float4(const struct pg_result *row, int column);
/* False, if it is not a vector of that dimension. */
bool postgres_row_vector(float *out, const struct pg_result *row, int column, size_t dim);
/* The elements of an array of texts, one after the other. */
struct postgres_array {
    struct bytes rest;
    uint32_t left;
};
struct postgres_array postgres_row_array(const struct pg_result *row, int column);
bool postgres_array_next(struct postgres_array *array, struct bytes *out);

#endif
