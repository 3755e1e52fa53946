/* Conditions on declared fields use the index; the others do not. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/index/sqlite/connection.h"
#include "core/index/sqlite/filter.h"
#include "tests/support/folder.h"
#include "tests/support/program.h"
#include "tests/support/store_steps.h"

static struct collection_spec plan_spec(void) {
    struct collection_spec spec = step_spec_of("plan");
    step_add_field(&spec, "camera.model", COLLECTION_TEXT);
    return spec;
}

/* The lines of the plan for a condition, each with a newline. */
static void explain(char *out, size_t size, const char *folder, const struct filter *filter) {
    struct error err = ERROR_NONE;
    struct collection_spec spec = plan_spec();
    struct sqlite_connection *connection = NULL;
    struct sqlite_filter condition;
    sqlite3_stmt *statement;
    char path[256], sql[4096];
    bool row;
    snprintf(path, sizeof(path), "%s/collections.db", folder);
    ck_assert_int_eq(
        sqlite_connection_open(&connection, path, SQLITE_STORE, SQLITE_FOR_READING, &err),
        STATUS_OK);
    ck_assert_int_eq(sqlite_filter_init(&condition, &spec, filter, 1, &err), STATUS_OK);
    snprintf(sql, sizeof(sql), "EXPLAIN QUERY PLAN SELECT i.row FROM items_@ i WHERE %s",
             sqlite_filter_text(&condition));
    ck_assert_msg(sqlite_prepare(&statement, connection, sql, 1, &err) == STATUS_OK, "%s",
                  err.message);
    sqlite_filter_bind(&condition, statement);
    *out = '\0';
    for (;;) {
        ck_assert_int_eq(sqlite_step(connection, statement, &row, &err), STATUS_OK);
        if (!row) break;
        size_t used = strlen(out);
        snprintf(out + used, size - used, "%s\n", (const char *)sqlite3_column_text(statement, 3));
    }
    sqlite_filter_free(&condition);
    sqlite_connection_close(connection);
}

START_TEST(test_plans) {
    const struct filter_value text = {.kind = FILTER_TEXT, .text = bytes_of("x")};
    const struct filter_bound bound = {.set = true, .value = text};
    struct filter in = {.kind = FILTER_IN, .field = "camera.model", .values = &text, .count = 1};
    const struct filter range = {.kind = FILTER_RANGE, .field = "camera.model", .low = bound};
    const struct filter not_in = {.kind = FILTER_NOT, .children = &in, .count = 1};
    const struct filter other = {.kind = FILTER_IN, .field = "camera", .values = &text, .count = 1};
    char *folder = folder_make();
    char plan[4096];
    struct collection_spec spec = plan_spec();
    struct collections *c = step_open_store(folder);
    step_make(c, &spec);
    collections_close(c);
    explain(plan, sizeof(plan), folder, &in);
    ck_assert_msg(
        strstr(plan, "SEARCH values_1 USING PRIMARY KEY (field=? AND kind=? AND value=?)"), "%s",
        plan);
    ck_assert_msg(strstr(plan, "SEARCH i USING INTEGER PRIMARY KEY (rowid=?)"), "%s", plan);
    explain(plan, sizeof(plan), folder, &range);
    ck_assert_msg(
        strstr(plan, "SEARCH values_1 USING PRIMARY KEY (field=? AND kind=? AND value>?)"), "%s",
        plan);
    explain(plan, sizeof(plan), folder, &not_in);
    ck_assert_msg(strstr(plan, "SEARCH values_1 USING PRIMARY KEY"), "%s", plan);
    explain(plan, sizeof(plan), folder, &other);
    ck_assert_msg(!strstr(plan, "values_1"), "%s", plan);
    folder_remove(folder);
}
END_TEST

/* The largest filter that is allowed is one that SQLite takes. */
START_TEST(test_largest) {
    char *folder = folder_make();
    struct collections *c = step_open_store(folder);
    struct collection_spec spec = step_spec_of("large");
    struct error err = ERROR_NONE;
    uint64_t count = 0;
    step_make(c, &spec);
    step_put_at(c, "large", "a", 0);
    struct filter_value *values = calloc(FILTER_VALUES_MAX, sizeof(*values));
    struct filter *wide = calloc(FILTER_NODES_MAX, sizeof(*wide)), deep[FILTER_DEPTH_MAX];
    for (size_t i = 0; i < FILTER_VALUES_MAX; i++)
        values[i] = (struct filter_value){.kind = FILTER_NUMBER, .number = (double)i};
    size_t leaves = FILTER_NODES_MAX - FILTER_DEPTH_MAX;
    for (size_t i = 0; i < leaves; i++)
        wide[i] = (struct filter){.kind = FILTER_IN,
                                  .field = "a.b.c.d.e",
                                  .values = values,
                                  .count = FILTER_VALUES_MAX / leaves};
    for (size_t i = 0; i < FILTER_DEPTH_MAX - 1; i++)
        deep[i] = (struct filter){.kind = FILTER_NOT, .children = &deep[i + 1], .count = 1};
    deep[FILTER_DEPTH_MAX - 2] =
        (struct filter){.kind = FILTER_OR, .children = wide, .count = leaves};
    ck_assert_msg(collection_count(c, "large", deep, &count, &err) == STATUS_OK, "%s", err.message);
    ck_assert_uint_eq(count, FILTER_DEPTH_MAX % 2 ? 1 : 0);
    free(values);
    free(wide);
    collections_close(c);
    folder_remove(folder);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("filter");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_plans);
    tcase_add_test(tcase, test_largest);
    return program_run("sqlite_filter", tcase, CK_FORK_GETENV);
}
