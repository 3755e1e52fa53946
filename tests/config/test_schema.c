/* The schema against everything that repeats it for people: README.md, the man page and
 * the example file. A key that is missing there, or says something else, fails here. */
#include "config/schema.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/value.h"
#include "core/base/file.h"
#include "core/batch/batcher.h"
#include "tests/support/program.h"

static const char *const no_environment[] = {NULL};

/* A whole file as a string; the caller frees it. */
static char *read_text(const char *path) {
    struct buffer file;
    buffer_init(&file, 1 << 20);
    ck_assert_int_eq(file_read(&file, path, NULL), STATUS_OK);
    ck_assert_int_eq(buffer_append(&file, "", 1, NULL), STATUS_OK);
    return (char *)file.data;
}

static char *print_default(const struct schema_key *key) {
    struct config config;
    struct buffer out;
    buffer_init(&out, 1024);
    ck_assert_int_eq(config_load(&config, NULL, no_environment, NULL, NULL), STATUS_OK);
    ck_assert_int_eq(value_print(&config, key, &out, NULL), STATUS_OK);
    ck_assert_int_eq(buffer_append(&out, "", 1, NULL), STATUS_OK);
    config_free(&config);
    return (char *)out.data;
}

static size_t count_text(const char *text, const char *part) {
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, part)); at++) count++;
    return count;
}

START_TEST(test_readme) {
    char *readme = read_text("README.md");
    char row[512];
    for (size_t i = 0; i < schema_keys_count; i++) {
        const struct schema_key *key = &schema_keys[i];
        char *value = print_default(key);
        snprintf(row, sizeof(row), "\n| `%s` | `%s` | %s |\n", key->name, value, key->meaning);
        ck_assert_msg(strstr(readme, row), "README.md has no row%s", row);
        free(value);
    }
    for (size_t i = 0; i < schema_model_keys_count; i++) {
        const struct schema_key *key = &schema_model_keys[i];
        snprintf(row, sizeof(row), "\n| `models[].%s` | | %s |\n", key->name, key->meaning);
        ck_assert_msg(strstr(readme, row), "README.md has no row%s", row);
    }
    /* No row is left of a key that is gone. */
    size_t rows = 0;
    static const char *const starts[] = {"\n| `server.", "\n| `limits.", "\n| `engine.",
                                         "\n| `store.",  "\n| `log.",    "\n| `models[]."};
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
        rows += count_text(readme, starts[i]);
    ck_assert_uint_eq(rows, schema_keys_count + schema_model_keys_count);
    free(readme);
}
END_TEST

/* In the man page there are no backquotes. */
static void expect_in_man(const char *man, const char *head, const char *meaning) {
    char text[512];
    size_t size = (size_t)snprintf(text, sizeof(text), "%s\n", head);
    for (const char *c = meaning; *c; c++) {
        if (*c != '`') text[size++] = *c;
    }
    text[size] = '\0';
    ck_assert_msg(strstr(man, text), "docs/clipd.1 has no lines\n%s", text);
}

START_TEST(test_man_page) {
    char *man = read_text("docs/clipd.1");
    char head[256];
    for (size_t i = 0; i < schema_keys_count; i++) {
        char *value = print_default(&schema_keys[i]);
        snprintf(head, sizeof(head), ".TP\n.BR %s \" (%s)\"", schema_keys[i].name, value);
        expect_in_man(man, head, schema_keys[i].meaning);
        free(value);
    }
    for (size_t i = 0; i < schema_model_keys_count; i++) {
        snprintf(head, sizeof(head), ".TP\n.B %s", schema_model_keys[i].name);
        expect_in_man(man, head, schema_model_keys[i].meaning);
    }
    free(man);
}
END_TEST

static char *print_config(const struct config *config) {
    struct buffer out;
    buffer_init(&out, 1 << 16);
    ck_assert_int_eq(config_print(config, &out, NULL), STATUS_OK);
    ck_assert_int_eq(buffer_append(&out, "", 1, NULL), STATUS_OK);
    return (char *)out.data;
}

START_TEST(test_example) {
    struct config example, defaults;
    struct error err = ERROR_NONE;
    const char *path = "config/clipd.example.yaml";
    enum status status = config_load(&example, path, no_environment, NULL, &err);
    ck_assert_msg(status == STATUS_OK, "%s", err.message);
    ck_assert_uint_eq(example.models_count, 1);
    ck_assert_str_eq(example.models[0].engine.path, "models/starter");
    ck_assert_int_eq(config_load(&defaults, NULL, no_environment, NULL, NULL), STATUS_OK);
    char *theirs = print_config(&example), *ours = print_config(&defaults);
    *strstr(theirs, "models:") = '\0';
    *strstr(ours, "models:") = '\0';
    ck_assert_str_eq(theirs, ours);
    char *text = read_text(path), line[SCHEMA_NAME_SIZE];
    for (size_t i = 0; i < schema_keys_count; i++) {
        snprintf(line, sizeof(line), "\n  %s: ", strchr(schema_keys[i].name, '.') + 1);
        ck_assert_msg(strstr(text, line), "%s has no %s", path, line);
    }
    for (size_t i = 0; i < schema_model_keys_count; i++) {
        snprintf(line, sizeof(line), " %s: ", schema_model_keys[i].name);
        ck_assert_msg(strstr(text, line), "%s has no %s", path, line);
    }
    free(text);
    free(theirs);
    free(ours);
    config_free(&example);
    config_free(&defaults);
}
END_TEST

START_TEST(test_environment_names) {
    char name[SCHEMA_NAME_SIZE];
    schema_environment_name(name, schema_find("limits.text_body_max"));
    ck_assert_str_eq(name, "CLIPD_LIMITS_TEXT_BODY_MAX");
    ck_assert_ptr_null(schema_find("limits"));
    ck_assert_ptr_null(schema_find("limits.text_body_max "));
    ck_assert_ptr_null(schema_find("name"));
}
END_TEST

static bool is_variable(const char *name) {
    bool known = !strcmp(name, "CLIPD_MODEL") || !strcmp(name, "CLIPD_CONFIG");
    for (size_t i = 0; i < schema_keys_count; i++) {
        char ours[SCHEMA_NAME_SIZE];
        schema_environment_name(ours, &schema_keys[i]);
        known |= !strcmp(name, ours);
    }
    return known;
}

/* Names that do not follow the rule are told wherever the rule is, and none that is nobody's. */
START_TEST(test_variables) {
    static const char *const paths[] = {"README.md", "docs/clipd.1", "config/clipd.example.yaml"};
    for (size_t p = 0; p < sizeof(paths) / sizeof(paths[0]); p++) {
        char *text = read_text(paths[p]), name[SCHEMA_NAME_SIZE];
        for (size_t i = 0; i < schema_keys_count; i++) {
            const char *variable = schema_keys[i].variable;
            ck_assert_msg(!variable || strstr(text, variable), "%s has no %s", paths[p], variable);
        }
        for (const char *at = text; (at = strstr(at, "CLIPD_")); at += strlen(name)) {
            size_t size = strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");
            ck_assert_uint_lt(size, sizeof(name));
            snprintf(name, sizeof(name), "%.*s", (int)size, at);
            ck_assert_msg(is_variable(name), "%s: %s", paths[p], name);
        }
        free(text);
    }
}
END_TEST

/* What the modules assert, the schema must not let through. */
START_TEST(test_ranges) {
    ck_assert_uint_le(schema_find("engine.batch_max")->max, BATCH_MAX_LIMIT);
    for (size_t i = 0; i < schema_keys_count; i++) {
        const struct schema_key *key = &schema_keys[i];
        if (key->kind > SCHEMA_MS) continue;
        ck_assert_msg(key->width == 4 || key->width == 8, "%s", key->name);
        ck_assert_msg(key->width == 8 || key->max <= UINT32_MAX, "%s", key->name);
        ck_assert_msg(key->min < key->max, "%s", key->name);
    }
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("schema");
    tcase_add_test(tests, test_readme);
    tcase_add_test(tests, test_man_page);
    tcase_add_test(tests, test_example);
    tcase_add_test(tests, test_environment_names);
    tcase_add_test(tests, test_variables);
    tcase_add_test(tests, test_ranges);
    return program_run("schema", tests, CK_NOFORK);
}
