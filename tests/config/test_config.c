/* The whole way: file, environment and flags to a configuration and back, and for
 * each mistake the place that the message names. */
#include "config/config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/program.h"

static const char *const no_environment[] = {NULL};
#define PATH_TEMPLATE "/tmp/clipd-test-config-XXXXXX"
static char path[] = PATH_TEMPLATE;
static struct config config;
static struct error err;

static void setup(void) {
    strcpy(path, PATH_TEMPLATE);
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    config = (struct config){0};
}

static void teardown(void) {
    unlink(path);
    config_free(&config);
}

static void write_file(const char *yaml) {
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(yaml, file), 0);
    fclose(file);
}

static enum status load(const char *const *environment, const char *const *flags) {
    config_free(&config);
    err = ERROR_NONE;
    return config_load(&config, path, environment, flags, &err);
}

/* What the message says behind the path of the file; "" when there is none. */
static const char *load_yaml(const char *yaml) {
    write_file(yaml);
    enum status status = load(no_environment, NULL);
    ck_assert_int_eq(status, err.status);
    if (status == STATUS_OK) return "";
    size_t size = strlen(path);
    ck_assert_int_eq(status, STATUS_INVALID);
    ck_assert_msg(!strncmp(err.message, path, size), "%s", err.message);
    return err.message + size + 1;
}

START_TEST(test_defaults) {
    write_file("");
    ck_assert_int_eq(load(no_environment, NULL), STATUS_OK);
    ck_assert_uint_eq(config.server.port, http_server_options_default.port);
    ck_assert_str_eq(config.server.address, http_server_options_default.address);
    ck_assert_uint_eq(config.api.body_max, api_options_default.body_max);
    ck_assert_uint_eq(config.image_limits.pixels_max, 50000000);
    ck_assert_uint_eq(config.models_count, 0);
    ck_assert_str_eq(load_yaml("# nothing but a comment\n"), "");
}
END_TEST

START_TEST(test_no_such_file) {
    unlink(path);
    ck_assert_int_eq(load(no_environment, NULL), STATUS_NOT_FOUND);
}
END_TEST

START_TEST(test_precedence) {
    write_file("server:\n  listen: 127.0.0.1:1001\n  io_threads: 3\n  idle_timeout: 11s\n");
    ck_assert_int_eq(load(no_environment, NULL), STATUS_OK);
    ck_assert_uint_eq(config.server.port, 1001);
    const char *const environment[] = {"HOME=/", "CLIPD_SERVER_LISTEN=127.0.0.1:1002",
                                       "CLIPD_SERVER_IO_THREADS=4", "CLIPD_LOG_LEVEL=", NULL};
    ck_assert_int_eq(load(environment, NULL), STATUS_OK);
    ck_assert_uint_eq(config.server.port, 1002);
    ck_assert_uint_eq(config.server.io_threads, 4);
    ck_assert_uint_eq(config.server.idle_timeout_s, 11);
    ck_assert_int_eq(config.log_level, LOG_INFO);
    const char *const flags[] = {"server.listen=:1003", "log.level=error", NULL};
    ck_assert_int_eq(load(environment, flags), STATUS_OK);
    ck_assert_str_eq(config.server.address, "0.0.0.0");
    ck_assert_uint_eq(config.server.port, 1003);
    ck_assert_uint_eq(config.server.io_threads, 4);
    ck_assert_int_eq(config.log_level, LOG_ERROR);
}
END_TEST

START_TEST(test_port) {
    const char *const environment[] = {"PORT=5000", "CLIPD_SERVER_LISTEN=0.0.0.0:8080", NULL};
    ck_assert_int_eq(load(environment, NULL), STATUS_OK);
    ck_assert_str_eq(config.server.address, "0.0.0.0");
    ck_assert_uint_eq(config.server.port, 5000);
    const char *const flags[] = {"server.listen=127.0.0.1:81", NULL};
    ck_assert_int_eq(load(environment, flags), STATUS_OK);
    ck_assert_uint_eq(config.server.port, 81);
    const char *const bad[] = {"PORT=65536", NULL};
    ck_assert_int_eq(load(bad, NULL), STATUS_INVALID);
    ck_assert_str_eq(err.message, "PORT: found '65536', expected 0 to 65535");
}
END_TEST

START_TEST(test_places) {
    const char *const environment[] = {"CLIPD_ENGINE_BATCH_MAX=many", NULL};
    ck_assert_int_eq(load(environment, NULL), STATUS_INVALID);
    ck_assert_str_eq(err.message, "CLIPD_ENGINE_BATCH_MAX: found 'many', expected a whole number");
    const char *const flags[] = {"engine.batch_max=0", NULL};
    ck_assert_int_eq(load(no_environment, flags), STATUS_INVALID);
    ck_assert_str_eq(err.message, "flag engine.batch_max: found '0', expected 1 to 256");
    const char *const unknown[] = {"engine.batch=3", NULL};
    ck_assert_int_eq(load(no_environment, unknown), STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "flag 'engine.batch=3': expected name=value"));
    const char *const bare[] = {"engine.batch_max", NULL};
    ck_assert_int_eq(load(no_environment, bare), STATUS_INVALID);
    const char *const ours_not[] = {"CLIPD_PORT=tcp://10.0.0.1:80", "CLIPD_SERVICE_HOST=10.0.0.1",
                                    NULL};
    ck_assert_int_eq(load(ours_not, NULL), STATUS_OK);
}
END_TEST

START_TEST(test_unknown_keys) {
    ck_assert_str_eq(load_yaml("server:\n  listen: :80\n\n  # more\n  lisen: 3\n"),
                     "line 5: unknown key 'lisen', expected one of listen, connections_max, "
                     "requests_max, io_threads, idle_timeout, request_timeout, rate_min, "
                     "memory_max, drain_delay, drain_timeout");
    ck_assert_str_eq(err.where, "line 5");
    ck_assert_str_eq(
        load_yaml("log:\n  level: info\n\n\nthraeds: 4\n"),
        "line 5: unknown key 'thraeds', expected one of server, limits, engine, store, log, "
        "models");
    /* The name occurs before, as a value and in another section. */
    ck_assert_str_eq(load_yaml("server:\n  io_threads: 4\nlog:\n  level: info\n  io_threads: 2\n"),
                     "line 5: unknown key 'io_threads', expected one of level, format");
    ck_assert_ptr_nonnull(strstr(load_yaml("models:\n  - path: a\n  - path: b\n    nmae: c\n"),
                                 "line 4: unknown key 'nmae'"));
    ck_assert_ptr_nonnull(
        strstr(load_yaml("{log: {level: info},\n zz: 1}"), "line 2: unknown key 'zz'"));
}
END_TEST

START_TEST(test_structure) {
    ck_assert_str_eq(load_yaml("log:\n  level: info\n  format: text\n  level: off\n"),
                     "line 4: 'level' is given twice");
    ck_assert_str_eq(load_yaml("server: 5\n"),
                     "line 1: server: found a single value, expected keys with values");
    ck_assert_str_eq(load_yaml("log:\n  level: [a, b]\n"),
                     "line 2: log.level: found a list, expected a single value");
    ck_assert_str_eq(load_yaml("models: x\n"),
                     "line 1: models: found a single value, expected a list");
    ck_assert_str_eq(load_yaml("- a\n"), " found a list, expected keys with values");
    ck_assert_ptr_nonnull(strstr(load_yaml("log:\n  level: \"info\n"),
                                 "line 3: not YAML: found unexpected end of stream while scanning "
                                 "a quoted scalar from line 2"));
    ck_assert_ptr_nonnull(strstr(load_yaml("log:\n\tlevel: info\n"), "line 2: not YAML: "));
    ck_assert_str_eq(load_yaml("log:\n  level: info\n---\nlog:\n"),
                     "line 3: found a second document, expected one");
    ck_assert_str_eq(load_yaml("log: &a\n  level: info\nserver: *a\n"),
                     "line 3: YAML alias unsupported");
    ck_assert_str_eq(load_yaml("? [a]\n: b\n"), " found a key that is no plain text");
    ck_assert_str_eq(load_yaml("log:\n  level: \"in\\0fo\"\n"),
                     "line 2: found a NUL character, expected text");
}
END_TEST

START_TEST(test_values) {
    ck_assert_str_eq(load_yaml("limits:\n  images_max: 3\n  body_max: 20XB\n"),
                     "line 3: limits.body_max: found '20XB', expected a size such as 20MB, 64MiB "
                     "or 500000");
    ck_assert_str_eq(load_yaml("log:\n  level:\n"),
                     "line 2: log.level: found '', expected debug|info|warning|error|off");
    ck_assert_str_eq(load_yaml("models:\n  - path: a\n    image_size: 5000\n"),
                     "line 3: models[0].image_size: found '5000', expected 0 to 4096");
    ck_assert_str_eq(load_yaml("models:\n  - path: a\n    default: maybe\n"),
                     "line 3: models[0].default: found 'maybe', expected true or false");
    write_file("server:\n  memory_max: 1MiB\nlimits:\n  body_max: 2MiB\n");
    ck_assert_int_eq(load(no_environment, NULL), STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(
        err.message,
        "limits.body_max is 2097152 bytes, expected at most server.memory_max, which is 1048576"));
}
END_TEST

START_TEST(test_models) {
    ck_assert_str_eq(load_yaml("limits:\n"
                               "  side_max: 99\n"
                               "models:\n"
                               "  - name: a\n"
                               "    path: /m/a\n"
                               "    precision: fp32\n"
                               "    profile: a.json\n"
                               "    cosine_min: 0.9995\n"
                               "    tokenizer: hf-fast\n"
                               "    exif_orientation: true\n"
                               "    preprocess: fast\n"
                               "    aliases: [small, tiny]\n"
                               "  - path: /m/ViT-B-32/\n"
                               "    image_size: 288\n"
                               "    default: true\n"),
                     "");
    ck_assert_uint_eq(config.models_count, 2);
    const struct registry_model *a = &config.models[0], *b = &config.models[1];
    ck_assert_str_eq(a->engine.name, "a");
    ck_assert_str_eq(a->engine.path, "/m/a");
    ck_assert_str_eq(a->engine.tokenizer, "hf-fast");
    ck_assert(a->engine.exif_orientation && !b->engine.exif_orientation);
    ck_assert_str_eq(a->engine.preprocess, "fast");
    ck_assert_ptr_null(b->engine.preprocess);
    ck_assert_uint_eq(a->aliases_count, 2);
    ck_assert_str_eq(a->aliases[1], "tiny");
    ck_assert_uint_eq(a->engine.image_limits.side_max, 99);
    ck_assert_str_eq(a->engine.profile, "a.json");
    ck_assert_uint_eq(a->engine.cosine_min_ppm, 999500);
    ck_assert_uint_eq(b->engine.cosine_min_ppm, 999000);
    ck_assert_str_eq(b->engine.name, "ViT-B-32");
    ck_assert_uint_eq(b->engine.image_size, 288);
    ck_assert(!a->is_default && b->is_default);
    ck_assert_str_eq(load_yaml("models:\n  - path: m/x.safetensors\n"), "");
    ck_assert_str_eq(config.models[0].engine.name, "x");
    ck_assert(config.models[0].is_default);
    ck_assert_str_eq(load_yaml("models: []\n"), "");
    ck_assert_uint_eq(config.models_count, 0);
}
END_TEST

START_TEST(test_bad_models) {
    ck_assert_str_eq(load_yaml("models:\n  - name: a\n"),
                     "line 2: models[0]: has no path, expected path: DIRECTORY");
    ck_assert_str_eq(load_yaml("models:\n  - path: a\n  - path: b\n"),
                     "line 1: models: none is the default, expected default: true at exactly one");
    ck_assert_str_eq(
        load_yaml("models:\n  - {path: a, default: true}\n  - {path: b, default: true}\n"),
        "line 3: models[1]: is a second default, expected exactly one");
    ck_assert_str_eq(load_yaml("models:\n  - {path: a, default: true}\n  - path: x/a\n"),
                     "line 2: models[0]: the name 'a' is given twice");
    ck_assert_str_eq(
        load_yaml("models:\n  - {path: a, default: true}\n  - {path: b, aliases: [a]}\n"),
        "line 2: models[0]: the name 'a' is given twice");
    ck_assert_str_eq(load_yaml("models:\n  - {path: a, aliases: ['']}\n"),
                     "line 2: models[0]: the name '' has 0 bytes, expected 1 to 128");
    ck_assert_str_eq(load_yaml("models:\n  - {path: a, precision: fp16}\n"),
                     "line 2: models[0].precision: found 'fp16', expected fp32|bf16|int8");
    char yaml[8192] = "models:\n";
    for (int i = 0; i <= CONFIG_MODELS_MAX; i++)
        snprintf(yaml + strlen(yaml), 64, "  - {path: m%d, default: %s}\n", i,
                 i ? "false" : "true");
    ck_assert_str_eq(load_yaml(yaml), "line 1: models: has more than 64 entries");
}
END_TEST

START_TEST(test_model_by_path) {
    write_file("models:\n  - path: a\n  - path: b\n    default: true\n");
    const char *const environment[] = {"CLIPD_MODEL=models/starter/", NULL};
    ck_assert_int_eq(load(environment, NULL), STATUS_OK);
    ck_assert_uint_eq(config.models_count, 1);
    ck_assert_str_eq(config.models[0].engine.name, "starter");
    ck_assert_str_eq(config.models[0].engine.path, "models/starter/");
    ck_assert(config.models_aside);
    const char *const flags[] = {"model=..", NULL};
    ck_assert_int_eq(load(environment, flags), STATUS_OK);
    ck_assert_str_eq(config.models[0].engine.name, "default");
    ck_assert_str_eq(config.models[0].engine.path, "..");
    ck_assert(!config.models_aside);
    const char *const empty[] = {"model=", NULL};
    ck_assert_int_eq(load(environment, empty), STATUS_INVALID);
    write_file("log:\n  level: error\n");
    ck_assert_int_eq(load(environment, NULL), STATUS_OK);
    ck_assert(!config.models_aside);
}
END_TEST

static char *print(void) {
    struct buffer out;
    buffer_init(&out, 1 << 16);
    ck_assert_int_eq(config_print(&config, &out, NULL), STATUS_OK);
    char *text = strndup((const char *)out.data, out.size);
    ck_assert_ptr_nonnull(text);
    buffer_free(&out);
    return text;
}

START_TEST(test_round_trip) {
    ck_assert_str_eq(load_yaml("server:\n"
                               "  listen: '[::1]:9'\n"
                               "  drain_timeout: 1500ms\n"
                               "limits:\n"
                               "  body_max: 12345\n"
                               "log:\n"
                               "  format: json\n"
                               "models:\n"
                               "  - name: \"true\"\n"
                               "    path: \"a \\\"b\\\\ #\\t: \xc3\xa9\"\n"
                               "    aliases: [small, 'null', \"0x1\"]\n"
                               "    default: true\n"
                               "  - path: b\n"),
                     "");
    char *first = print();
    ck_assert_str_eq(load_yaml(first), "");
    char *second = print();
    ck_assert_str_eq(first, second);
    ck_assert_str_eq(config.models[0].engine.path, "a \"b\\ #\t: \xc3\xa9");
    ck_assert_str_eq(config.models[0].aliases[1], "null");
    ck_assert_ptr_nonnull(strstr(first, "  drain_timeout: 1500ms\n"));
    free(first);
    free(second);
}
END_TEST

/* The directory of collections that a setting and an environment lead to; "-" for none. */
static const char *find_store(const char *setting, const char *const *environment) {
    char flag[128];
    const char *flags[] = {flag, NULL};
    snprintf(flag, sizeof(flag), "store.location=%s", setting);
    write_file("");
    ck_assert_int_eq(load(environment, flags), STATUS_OK);
    return config.collections.store ? config.collections.store : "-";
}

START_TEST(test_store_location) {
    static const char *const home[] = {"HOME=/home/me", NULL};
    static const char *const data[] = {"HOME=/home/me", "XDG_DATA_HOME=/data", NULL};
    static const char *const relative[] = {"HOME=/home/me", "XDG_DATA_HOME=data", NULL};
    write_file("");
    ck_assert_int_eq(load(data, NULL), STATUS_OK);
    ck_assert_ptr_null(config.collections.store);
    ck_assert_str_eq(find_store("none", data), "-");
    static const char *const automatic[] = {"store.location=auto", NULL};
    ck_assert_int_eq(load(no_environment, automatic), STATUS_INVALID);
    ck_assert_msg(strstr(err.message, "store.location is auto, and neither"), "%s", err.message);
    ck_assert_str_eq(find_store("auto", home), "/home/me/.local/share/clipd");
    ck_assert_str_eq(find_store("auto", data), "/data/clipd");
    ck_assert_str_eq(find_store("auto", relative), "/home/me/.local/share/clipd");
    ck_assert_str_eq(find_store("photos", data), "photos");
    ck_assert_str_eq(find_store("postgresql://a:b@c/d", data), "postgresql://a:b@c/d");
    /* What a command does that needs a store: one that is named stays. */
    ck_assert_int_eq(config_default_store(&config, data, &err), STATUS_OK);
    ck_assert_str_eq(config.collections.store, "postgresql://a:b@c/d");
    ck_assert_str_eq(find_store("none", data), "-");
    ck_assert_int_eq(config_default_store(&config, no_environment, NULL), STATUS_INVALID);
    ck_assert_int_eq(config_default_store(&config, data, &err), STATUS_OK);
    ck_assert_str_eq(config.collections.store, "/data/clipd");
}
END_TEST

START_TEST(test_store_alone) {
    static const char *const flags[] = {"store.connections=3", NULL};
    write_file("log:\n  level: off\nstore: postgresql://c/d\nmodels: []\n");
    ck_assert_int_eq(load(no_environment, flags), STATUS_OK);
    ck_assert_str_eq(config.collections.store, "postgresql://c/d");
    ck_assert_uint_eq(config.collections.connections, 3);
    ck_assert_int_eq(config.log_level, LOG_OFF);
    write_file("{store: \"photos\"}");
    ck_assert_int_eq(load(no_environment, NULL), STATUS_OK);
    ck_assert_str_eq(config.collections.store, "photos");
    ck_assert_str_eq(load_yaml("store: a\nlog:\n  level: off\nstore: b\n"),
                     "line 4: 'store' is given twice");
    ck_assert_str_eq(load_yaml("store: a\nstore:\n  location: b\n"),
                     "line 2: 'store' is given twice");
    ck_assert_str_eq(load_yaml("store: [a]\n"),
                     "line 1: store: found a list, expected keys with values");
    for (size_t i = 0; i < 2; i++)
        ck_assert_str_eq(load_yaml(i ? "store:\n" : "store: ''\n"),
                         "line 1: store: found a single value, expected keys with values");
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("config");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_defaults);
    tcase_add_test(tests, test_no_such_file);
    tcase_add_test(tests, test_precedence);
    tcase_add_test(tests, test_port);
    tcase_add_test(tests, test_places);
    tcase_add_test(tests, test_unknown_keys);
    tcase_add_test(tests, test_structure);
    tcase_add_test(tests, test_values);
    tcase_add_test(tests, test_models);
    tcase_add_test(tests, test_bad_models);
    tcase_add_test(tests, test_model_by_path);
    tcase_add_test(tests, test_round_trip);
    tcase_add_test(tests, test_store_location);
    tcase_add_test(tests, test_store_alone);
    return program_run("config", tests, CK_NOFORK);
}
