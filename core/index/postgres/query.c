#include "core/index/postgres/query.h"

#include <endian.h>
#include <libpq-fe.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    SQL_MAX = 4 << 20,
    VALUES_MAX = 1 << 29,                 /* PostgreSQL takes less than 1 GB in one value */
    OFFSETS_MAX = 65535 * sizeof(size_t), /* the protocol's limit of parameters */
};

void postgres_query_init(struct postgres_query *query) {
    *query = (struct postgres_query){.failure = ERROR_NONE};
    buffer_init(&query->sql, SQL_MAX);
    buffer_init(&query->values, VALUES_MAX);
    buffer_init(&query->offsets, OFFSETS_MAX);
}

void postgres_query_free(struct postgres_query *query) {
    buffer_free(&query->sql);
    buffer_free(&query->values);
    buffer_free(&query->offsets);
}

void postgres_query_add(struct postgres_query *query, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *to = (char *)buffer_reserve(&query->sql, (size_t)size + 1, &query->failure);
    if (!to) return;
    va_start(args, format);
    vsnprintf(to, (size_t)size + 1, format, args);
    va_end(args);
    query->sql.size += (size_t)size;
}

void postgres_query_add_quoted(struct postgres_query *query, struct bytes text) {
    postgres_query_add(query, "'");
    for (size_t i = 0; i < text.size; i++) {
        bool quote = text.data[i] == '\'';
        buffer_append(&query->sql, quote ? "''" : (const char *)&text.data[i], quote ? 2 : 1,
                      &query->failure);
    }
    postgres_query_add(query, "'");
}

/* ---- values ---- */

static unsigned begin(struct postgres_query *query) {
    size_t offset = query->values.size;
    buffer_append(&query->offsets, &offset, sizeof(offset), &query->failure);
    return ++query->count;
}

static void put(struct postgres_query *query, const void *data, size_t size) {
    buffer_append(&query->values, data, size, &query->failure);
}

static void put_int4(struct postgres_query *query, uint32_t value) {
    value = htobe32(value);
    put(query, &value, sizeof(value));
}

static void put_int8(struct postgres_query *query, uint64_t value) {
    value = htobe64(value);
    put(query, &value, sizeof(value));
}

static void put_float8(struct postgres_query *query, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    put_int8(query, bits);
}

static size_t vector_size(size_t dim) {
    return 4 + 4 * dim;
}

/* pgvector's vector_send(): the dimension and 0 as int2, then float4 each. */
static void put_vector(struct postgres_query *query, const float *value, size_t dim) {
    uint8_t *to = buffer_reserve(&query->values, vector_size(dim), &query->failure);
    if (!to) return;
    uint16_t head[2] = {htobe16((uint16_t)dim), 0};
    memcpy(to, head, sizeof(head));
    for (size_t i = 0; i < dim; i++) {
        uint32_t bits;
        memcpy(&bits, &value[i], sizeof(bits));
        bits = htobe32(bits);
        memcpy(to + 4 + 4 * i, &bits, sizeof(bits));
    }
    query->values.size += vector_size(dim);
}

unsigned postgres_query_bytes(struct postgres_query *query, struct bytes value) {
    unsigned number = begin(query);
    put(query, value.data, value.size);
    return number;
}

unsigned postgres_query_int8(struct postgres_query *query, int64_t value) {
    unsigned number = begin(query);
    put_int8(query, (uint64_t)value);
    return number;
}

unsigned postgres_query_float8(struct postgres_query *query, double value) {
    unsigned number = begin(query);
    put_float8(query, value);
    return number;
}

unsigned postgres_query_vector(struct postgres_query *query, const float *value, size_t dim) {
    unsigned number = begin(query);
    put_vector(query, value, dim);
    return number;
}

/* array_recv(): dimensions, whether there are nulls, the type, then size and lower bound. */
unsigned postgres_query_array(struct postgres_query *query, unsigned type, size_t count) {
    unsigned number = begin(query);
    put_int4(query, count ? 1 : 0);
    put_int4(query, 1);
    put_int4(query, type);
    if (!count) return number;
    put_int4(query, (uint32_t)count);
    put_int4(query, 1);
    return number;
}

void postgres_query_element(struct postgres_query *query, struct bytes value) {
    put_int4(query, (uint32_t)value.size);
    put(query, value.data, value.size);
}

void postgres_query_element_null(struct postgres_query *query) {
    put_int4(query, UINT32_MAX);
}

void postgres_query_element_float8(struct postgres_query *query, double value) {
    put_int4(query, sizeof(value));
    put_float8(query, value);
}

void postgres_query_element_vector(struct postgres_query *query, const float *value, size_t dim) {
    put_int4(query, (uint32_t)vector_size(dim));
    put_vector(query, value, dim);
}

/* ---- rows ---- */

struct bytes postgres_row_bytes(const struct pg_result *row, int column) {
    return (struct bytes){.data = (const uint8_t *)PQgetvalue(row, 0, column),
                          .size = (size_t)PQgetlength(row, 0, column)};
}

static uint32_t read_int4(const uint8_t *from) {
    uint32_t value;
    memcpy(&value, from, sizeof(value));
    return be32toh(value);
}

/* Of int2, int4 and int8, whichever it is. */
int64_t postgres_row_int8(const struct pg_result *row, int column) {
    struct bytes value = postgres_row_bytes(row, column);
    uint64_t number = 0;
    for (size_t i = 0; i < value.size && i < sizeof(number); i++)
        number = number << 8 | value.data[i];
    return (int64_t)number;
}

bool postgres_row_bool(const struct pg_result *row, int column) {
    return postgres_row_int8(row, column) != 0;
}

float postgres_row_float4(const struct pg_result *row, int column) {
    struct bytes value = postgres_row_bytes(row, column);
    uint32_t bits = value.size == sizeof(bits) ? read_int4(value.data) : 0;
    float number;
    memcpy(&number, &bits, sizeof(number));
    return number;
}

bool postgres_row_vector(float *out, const struct pg_result *row, int column, size_t dim) {
    struct bytes value = postgres_row_bytes(row, column);
    if (value.size != vector_size(dim)) return false;
    for (size_t i = 0; i < dim; i++) {
        uint32_t bits = read_int4(value.data + 4 + 4 * i);
        memcpy(&out[i], &bits, sizeof(bits));
    }
    return true;
}

struct postgres_array postgres_row_array(const struct pg_result *row, int column) {
    struct bytes value = postgres_row_bytes(row, column);
    if (value.size < 20) return (struct postgres_array){.left = 0};
    return (struct postgres_array){.rest = {.data = value.data + 20, .size = value.size - 20},
                                   .left = read_int4(value.data + 12)};
}

bool postgres_array_next(struct postgres_array *array, struct bytes *out) {
    if (array->left == 0 || array->rest.size < 4) return false;
    size_t size = read_int4(array->rest.data);
    if (size > array->rest.size - 4) return false;
    *out = (struct bytes){.data = array->rest.data + 4, .size = size};
    array->rest = (struct bytes){.data = out->data + size, .size = array->rest.size - 4 - size};
    array->left--;
    return true;
}
