/* Statements and filters as they are sent, without a server. */
#include <check.h>
#include <string.h>

#include "core/index/postgres/filter.h"
#include "tests/support/program.h"

static void must_hold(const struct postgres_query *query, const void *bytes, size_t size) {
    ck_assert_uint_eq(query->values.size, size);
    ck_assert_mem_eq(query->values.data, bytes, size);
}

START_TEST(values_are_big_endian) {
    struct postgres_query query;
    const float vector[] = {1, -2};
    postgres_query_init(&query);
    ck_assert_uint_eq(postgres_query_int8(&query, -2), 1);
    ck_assert_uint_eq(postgres_query_float8(&query, 1), 2);
    ck_assert_uint_eq(postgres_query_bytes(&query, bytes_of("ab")), 3);
    ck_assert_uint_eq(postgres_query_vector(&query, vector, 2), 4);
    static const char expected[] = "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFE"
                                   "\x3F\xF0\0\0\0\0\0\0"
                                   "ab"
                                   "\0\2\0\0\x3F\x80\0\0\xC0\0\0\0";
    must_hold(&query, expected, sizeof(expected) - 1);
    postgres_query_free(&query);
}
END_TEST

START_TEST(arrays_have_heads) {
    struct postgres_query query;
    postgres_query_init(&query);
    postgres_query_array(&query, POSTGRES_TEXT, 2);
    postgres_query_element(&query, bytes_of("x"));
    postgres_query_element_null(&query);
    postgres_query_array(&query, POSTGRES_TEXT, 0);
    static const char expected[] = "\0\0\0\1\0\0\0\1\0\0\0\x19\0\0\0\2\0\0\0\1"
                                   "\0\0\0\1x\xFF\xFF\xFF\xFF"
                                   "\0\0\0\0\0\0\0\1\0\0\0\x19";
    must_hold(&query, expected, sizeof(expected) - 1);
    postgres_query_free(&query);
}
END_TEST

START_TEST(the_first_failure_sticks) {
    struct postgres_query query;
    postgres_query_init(&query);
    query.values.limit = 8;
    postgres_query_int8(&query, 1);
    ck_assert_int_eq(query.failure.status, STATUS_OK);
    postgres_query_int8(&query, 1);
    postgres_query_add(&query, "SELECT 1");
    ck_assert_int_eq(query.failure.status, STATUS_TOO_LARGE);
    postgres_query_free(&query);
}
END_TEST

static void must_read(const struct filter *filter, const char *expected, unsigned values) {
    struct collection_spec spec = {
        .fields = {{"kind", COLLECTION_TEXT}}, .fields_count = 1, .dim = 8};
    struct postgres_query query;
    postgres_query_init(&query);
    postgres_filter_add(&query, &spec, filter);
    ck_assert_int_eq(query.failure.status, STATUS_OK);
    ck_assert_str_eq((const char *)query.sql.data, expected);
    ck_assert_uint_eq(query.count, values);
    postgres_query_free(&query);
}

START_TEST(filters_become_conditions) {
    const struct filter_value text = {.kind = FILTER_TEXT, .text = bytes_of("'; DROP TABLE")};
    const struct filter_value yes = {.kind = FILTER_BOOL, .boolean = true};
    struct filter exists = {.kind = FILTER_EXISTS, .field = "it's.0"};
    struct filter both[] = {exists, {.kind = FILTER_IN, .field = "a", .values = &yes, .count = 1}};
    must_read(NULL, "TRUE", 0);
    must_read(&(struct filter){.kind = FILTER_OR}, "(FALSE)", 0);
    must_read(&(struct filter){.kind = FILTER_IN, .field = "a"}, "(FALSE)", 0);
    /* A path is quoted, and its steps are keys, never places in an array. */
    must_read(&exists, "(NOT jsonb_typeof(metadata->'it''s'->'0') = 'null')", 0);
    must_read(&(struct filter){.kind = FILTER_NOT, .children = &exists, .count = 1},
              "((NOT jsonb_typeof(metadata->'it''s'->'0') = 'null') IS NOT TRUE)", 0);
    must_read(&(struct filter){.kind = FILTER_AND, .children = both, .count = 2},
              "((NOT jsonb_typeof(metadata->'it''s'->'0') = 'null') AND "
              "((metadata->'a') @> 'true'::jsonb))",
              0);
    /* A value is a parameter. */
    must_read(&(struct filter){.kind = FILTER_IN, .field = "a", .values = &text, .count = 1},
              "(((metadata->'a') ?| $1::text[] AND NOT jsonb_typeof(metadata->'a') = 'object'))",
              1);
}
END_TEST

/* A declared text is found by its first characters, which the index has. */
START_TEST(declared_texts_use_their_prefix) {
    struct filter range = {
        .kind = FILTER_RANGE,
        .field = "kind",
        .high = {.set = true, .value = {.kind = FILTER_TEXT, .text = bytes_of("m")}}};
    must_read(&range,
              "((CASE WHEN jsonb_typeof(metadata->'kind') = 'string' THEN (metadata->'kind') #>> "
              "'{}' END) COLLATE \"C\" < $1::text AND (left(CASE WHEN "
              "jsonb_typeof(metadata->'kind') = 'string' THEN (metadata->'kind') #>> '{}' END, "
              "200)) COLLATE \"C\" <= left($1::text, 200))",
              1);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("postgres_query");
    tcase_add_test(tcase, values_are_big_endian);
    tcase_add_test(tcase, arrays_have_heads);
    tcase_add_test(tcase, the_first_failure_sticks);
    tcase_add_test(tcase, filters_become_conditions);
    tcase_add_test(tcase, declared_texts_use_their_prefix);
    return program_run("postgres_query", tcase, CK_NOFORK);
}
