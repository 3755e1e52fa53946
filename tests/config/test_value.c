/* Values from text and back: units, ranges, one past them, and what is no value. */
#include "config/value.h"

#include <check.h>
#include <string.h>

#include "tests/support/program.h"

static struct config config;
static struct config_storage *storage;

static void setup(void) {
    config = (struct config){.drain_ms = 7};
    storage = storage_create();
    ck_assert_ptr_nonnull(storage);
}

static void teardown(void) {
    storage_destroy(storage);
}

static const char *read_key(const char *name, const char *text) {
    static struct error err;
    err = ERROR_NONE;
    const struct schema_key *key = schema_find(name);
    ck_assert_ptr_nonnull(key);
    enum status status = value_read(&config, key, text, storage, &err);
    ck_assert_int_eq(status, err.status);
    return status == STATUS_OK ? "" : err.message;
}

static char *print_key(const char *name) {
    static char text[128];
    struct buffer out;
    buffer_init(&out, sizeof(text) - 1);
    ck_assert_int_eq(value_print(&config, schema_find(name), &out, NULL), STATUS_OK);
    memcpy(text, out.data, out.size);
    text[out.size] = '\0';
    buffer_free(&out);
    return text;
}

static void expect_size(const char *text, size_t expected) {
    ck_assert_str_eq(read_key("limits.body_max", text), "");
    ck_assert_uint_eq(config.api.body_max, expected);
}

START_TEST(test_sizes) {
    expect_size("20MB", 20000000);
    expect_size("64MiB", 64 << 20);
    expect_size("64 MiB", 64 << 20);
    expect_size("1GiB", 1 << 30);
    expect_size("2KB", 2000);
    expect_size("5000", 5000);
    expect_size("5000B", 5000);
    expect_size("1024", 1024);
}
END_TEST

START_TEST(test_size_range) {
    ck_assert_str_eq(read_key("limits.body_max", "1023"), "found '1023', expected 1KiB to 1GiB");
    ck_assert_str_eq(read_key("limits.body_max", "1073741825"),
                     "found '1073741825', expected 1KiB to 1GiB");
    /* 2^64 + 2048 and 2^54 KiB would wrap to something that looks fine. */
    ck_assert_str_eq(read_key("limits.body_max", "18446744073709553664"),
                     "found '18446744073709553664', expected 1KiB to 1GiB");
    ck_assert_str_eq(read_key("limits.body_max", "18014398509481986KiB"),
                     "found '18014398509481986KiB', expected 1KiB to 1GiB");
    ck_assert_str_eq(read_key("limits.body_max", "99999999999999999999999XiB"),
                     "found '99999999999999999999999XiB', expected a size such as 20MB, 64MiB or "
                     "500000");
}
END_TEST

START_TEST(test_no_sizes) {
    static const char *const bad[] = {"",    "MB",     "-1",    "+1",     "1.5GB", "20mb",
                                      "0x1", "20 MBs", " 20MB", "20  MB", "20MB ", "1e6"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(strstr(read_key("limits.body_max", bad[i]), "expected a size"), "'%s'",
                      bad[i]);
}
END_TEST

START_TEST(test_sizes_print) {
    static const char *const same[] = {"20MB", "64MiB", "1GiB", "1025B"};
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        ck_assert_str_eq(read_key("limits.body_max", same[i]), "");
        ck_assert_str_eq(print_key("limits.body_max"), same[i]);
    }
    ck_assert_str_eq(read_key("engine.label_cache_max", "0"), "");
    ck_assert_str_eq(print_key("engine.label_cache_max"), "0");
}
END_TEST

START_TEST(test_durations) {
    ck_assert_str_eq(read_key("limits.deadline", "500ms"), "");
    ck_assert_uint_eq(config.api.timeout_ms, 500);
    ck_assert_str_eq(print_key("limits.deadline"), "500ms");
    ck_assert_str_eq(read_key("limits.deadline", "2m"), "");
    ck_assert_uint_eq(config.api.timeout_ms, 120000);
    ck_assert_str_eq(print_key("limits.deadline"), "120s");
    ck_assert_str_eq(read_key("limits.deadline", "1h"), "");
    ck_assert_str_eq(read_key("limits.deadline", "0"), "");
    ck_assert_str_eq(print_key("limits.deadline"), "0s");
    ck_assert_str_eq(read_key("limits.deadline", "30"),
                     "found '30', expected a duration such as 500ms, 30s or 2m");
    ck_assert_str_eq(read_key("limits.deadline", "3600001ms"),
                     "found '3600001ms', expected 0s to 3600s");
    ck_assert_str_eq(read_key("server.idle_timeout", "90s"), "");
    ck_assert_uint_eq(config.server.idle_timeout_s, 90);
    ck_assert_str_eq(print_key("server.idle_timeout"), "90s");
    ck_assert_str_eq(read_key("server.idle_timeout", "1500ms"),
                     "found '1500ms', expected whole seconds such as 30s or 2m");
    ck_assert_str_eq(read_key("server.idle_timeout", "0"), "found '0', expected 1s to 86400s");
    ck_assert_str_eq(read_key("server.idle_timeout", "99999999999999999999h"),
                     "found '99999999999999999999h', expected 1s to 86400s");
}
END_TEST

START_TEST(test_counts) {
    ck_assert_str_eq(read_key("limits.side_max", "65535"), "");
    ck_assert_uint_eq(config.image_limits.side_max, 65535);
    ck_assert_str_eq(read_key("limits.side_max", "65536"), "found '65536', expected 1 to 65535");
    ck_assert_str_eq(read_key("limits.side_max", "0"), "found '0', expected 1 to 65535");
    ck_assert_str_eq(read_key("limits.side_max", "10MB"), "found '10MB', expected a whole number");
    ck_assert_str_eq(read_key("limits.pixels_max", "1000000000"), "");
    ck_assert_uint_eq(config.image_limits.pixels_max, 1000000000);
    ck_assert_uint_eq(config.image_limits.side_max, 65535);
    ck_assert_uint_eq(config.drain_ms, 7); /* the neighbours were left alone */
}
END_TEST

/* Of a model, whose keys read_key() does not know. */
static const char *read_fraction(const char *text, uint32_t *out) {
    static struct error err;
    const struct schema_key key = {.kind = SCHEMA_FRACTION, .width = sizeof(*out), .max = 1000000};
    err = ERROR_NONE;
    value_read(out, &key, text, NULL, &err);
    return err.message;
}

START_TEST(test_fractions) {
    static const struct {
        const char *text, *printed;
        uint32_t millionths;
    } good[] = {{"0.999", "0.999", 999000},  {"1", "1", 1000000},
                {"1.000000", "1", 1000000},  {"0", "0", 0},
                {"0.000001", "0.000001", 1}, {"00.5", "0.5", 500000}};
    static const char *const bad[] = {"",     ".5",   "0.",  "0.9999999", "1e-1", "-0.5",
                                      "0,99", "0.9 ", "nan", "0x1",       "0.5%", "9999999999"};
    const struct schema_key key = {.kind = SCHEMA_FRACTION, .width = sizeof(uint32_t)};
    uint32_t found = 7;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct buffer out;
        buffer_init(&out, 64);
        ck_assert_str_eq(read_fraction(good[i].text, &found), "");
        ck_assert_uint_eq(found, good[i].millionths);
        ck_assert_int_eq(value_print(&found, &key, &out, NULL), STATUS_OK);
        ck_assert_uint_eq(out.size, strlen(good[i].printed));
        ck_assert_mem_eq(out.data, good[i].printed, out.size);
        buffer_free(&out);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(strstr(read_fraction(bad[i], &found), "expected a number such as 0.999"),
                      "'%s'", bad[i]);
    ck_assert_str_eq(read_fraction("1.000001", &found), "found '1.000001', expected 0 to 1");
    ck_assert_uint_eq(found, 500000);
}
END_TEST

static void expect_listen(const char *text, const char *address, unsigned port) {
    ck_assert_str_eq(read_key("server.listen", text), "");
    ck_assert_str_eq(config.server.address, address);
    ck_assert_uint_eq(config.server.port, port);
}

START_TEST(test_listen) {
    expect_listen("127.0.0.1:8080", "127.0.0.1", 8080);
    ck_assert_str_eq(print_key("server.listen"), "127.0.0.1:8080");
    expect_listen("[::1]:80", "::1", 80);
    ck_assert_str_eq(print_key("server.listen"), "[::1]:80");
    expect_listen(":0", "0.0.0.0", 0);
    expect_listen("localhost:65535", "127.0.0.1", 65535);
    static const char *const bad[] = {"",         "8080",         "127.0.0.1", "127.0.0.1:65536",
                                      "::1:8080", "[::1:8080",    "[]:80",     "[127.0.0.1]:80",
                                      "host:80",  "127.0.0.1:-1", "1.2.3:80",  "127.0.0.1:80x"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(strstr(read_key("server.listen", bad[i]), "expected ADDR:PORT"), "'%s'",
                      bad[i]);
    expect_listen("[::]:1", "::", 1);
}
END_TEST

START_TEST(test_choices) {
    ck_assert_str_eq(read_key("log.level", "off"), "");
    ck_assert_int_eq(config.log_level, LOG_OFF);
    ck_assert_str_eq(print_key("log.level"), "off");
    ck_assert_str_eq(read_key("log.level", "debug"), "");
    ck_assert_int_eq(config.log_level, LOG_DEBUG);
    ck_assert_str_eq(read_key("log.format", "json"), "");
    ck_assert_int_eq(config.log_format, LOG_JSON);
    ck_assert_str_eq(read_key("log.format", "js"), "found 'js', expected text|json");
    ck_assert_str_eq(read_key("log.format", ""), "found '', expected text|json");
    ck_assert_str_eq(read_key("log.format", "text|json"), "found 'text|json', expected text|json");
}
END_TEST

/* What is printed may end in a log or a bug report. */
START_TEST(test_secrets) {
    static const char *const cases[][2] = {
        {"none", "none"},
        {"/srv/a:b@c/password=x", "/srv/a:b@c/password=x"},
        {"postgresql://host/base", "postgresql://host/base"},
        {"postgresql://me@host:5432/base", "postgresql://me@host:5432/base"},
        {"postgresql://me:secret@host:5432/base", "postgresql://me:***@host:5432/base"},
        {"postgresql://me:se@cr:et@host/base", "postgresql://me:***@host/base"},
        {"postgresql://me:@host/a@b", "postgresql://me:***@host/a@b"},
        {"postgres:///b?password=secret&user=me", "postgres:///b?password=***&user=me"},
        {"postgresql://u:one@h/b?user=me&PassWord=two",
         "postgresql://u:***@h/b?user=me&PassWord=***"},
        {"postgresql://h/b?sslpassword=one&password=two&user=me",
         "postgresql://h/b?sslpassword=***&password=***&user=me"},
        {"postgresql://h/b?pass%77ord=one&a&b=?", "postgresql://h/b?pass%77ord=***&a&b=?"},
        {"postgresql://h/b?password=&password", "postgresql://h/b?password=***&password"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ck_assert_str_eq(read_key("store.location", cases[i][0]), "");
        ck_assert_str_eq(config.store_location, cases[i][0]);
        ck_assert_str_eq(print_key("store.location"), cases[i][1]);
    }
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("value");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_sizes);
    tcase_add_test(tests, test_size_range);
    tcase_add_test(tests, test_no_sizes);
    tcase_add_test(tests, test_sizes_print);
    tcase_add_test(tests, test_durations);
    tcase_add_test(tests, test_counts);
    tcase_add_test(tests, test_fractions);
    tcase_add_test(tests, test_listen);
    tcase_add_test(tests, test_choices);
    tcase_add_test(tests, test_secrets);
    return program_run("value", tests, CK_NOFORK);
}
