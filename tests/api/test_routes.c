/* Paths to rows: parts, encoded characters, methods. */
#include "api/routes.h"

#include <check.h>
#include <string.h>

#include "tests/support/fake_request.h"
#include "tests/support/program.h"

static struct http_request request;
static const struct route *other;

static const char *find(enum http_method method, const char *path) {
    request = (struct http_request){.method = method, .path = path};
    const struct route *route = routes_find(&other, &request);
    return route ? route->operation_id : "";
}

START_TEST(fixed_paths) {
    ck_assert_str_eq(find(HTTP_GET, "/models"), "listModels");
    ck_assert_str_eq(find(HTTP_HEAD, "/models"), "listModels");
    ck_assert_str_eq(find(HTTP_POST, "/%65mbed/text"), "embedText");
    static const char *const none[] = {"",         "/",        "models",          "/models/",
                                       "//models", "/model",   "/modelss",        "/embed",
                                       "/embed/",  "/Models",  "/embed%2Ftext",   "/embed/text/x",
                                       "/mod%",    "/model%7", "/model%zz",       "/models%00",
                                       "/%",       "*",        "http://x/models", "/models?x"};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        ck_assert_str_eq(find(HTTP_GET, none[i]), "");
        ck_assert_msg(!other, "%s", none[i]);
    }
}
END_TEST

START_TEST(parameters) {
    ck_assert_str_eq(find(HTTP_PUT, "/collections/a%20b"), "putCollection");
    ck_assert_str_eq(request.params[0], "a b");
    ck_assert_str_eq(find(HTTP_GET, "/collections/c/items/a%2fb%2F%25"), "getItem");
    ck_assert_str_eq(request.params[0], "c");
    ck_assert_str_eq(request.params[1], "a/b/%");
    ck_assert_str_eq(find(HTTP_GET, "/collections/c/items/x/thumbnail"), "getThumbnail");
    ck_assert_str_eq(find(HTTP_GET, "/collections/items/items/thumbnail/thumbnail"),
                     "getThumbnail");
    ck_assert_str_eq(find(HTTP_GET, "/collections/"), "");
    ck_assert_str_eq(find(HTTP_GET, "/collections//items"), "");
    ck_assert_str_eq(find(HTTP_GET, "/collections/c/items/"), "");
    ck_assert_str_eq(find(HTTP_GET, "/collections/c/items/a%00b"), "");
}
END_TEST

START_TEST(long_parameters) {
    char path[2000] = "/collections/c/items/";
    size_t start = strlen(path);
    memset(path + start, 'x', COLLECTION_ID_MAX + 1);
    ck_assert_str_eq(find(HTTP_GET, path), "getItem");
    ck_assert_uint_eq(strlen(request.params[1]), COLLECTION_ID_MAX + 1);
    memset(path + start, 'x', 1500);
    ck_assert_str_eq(find(HTTP_GET, path), "");
}
END_TEST

START_TEST(methods) {
    char allowed[ROUTES_ALLOWED_SIZE];
    ck_assert_str_eq(find(HTTP_DELETE, "/models"), "");
    ck_assert_ptr_nonnull(other);
    routes_allowed(allowed, other);
    ck_assert_str_eq(allowed, "GET, HEAD");
    ck_assert_str_eq(find(HTTP_POST, "/collections/x"), "");
    routes_allowed(allowed, other);
    ck_assert_str_eq(allowed, "GET, HEAD, PUT, DELETE");
    for (size_t i = 0; i < routes_count; i++) routes_allowed(allowed, &routes[i]);
}
END_TEST

static enum status check_query(const char *path, const char *name, struct error *err) {
    struct fake_request fake;
    fake_request_init(&fake, path, NULL, bytes_of(""));
    fake.request.method = HTTP_GET;
    fake.query[0] = "filter";
    fake.query[2] = name;
    fake.query[1] = fake.query[3] = "";
    return routes_check_query(routes_find(&other, &fake.request), &fake.request, err);
}

START_TEST(queries) {
    static const char *const unknown[] = {
        "", "filte", "filters", "filter, limit", "limi", "mit", "Filter", ",", " ", "filter\n"};
    struct error err = ERROR_NONE;
    ck_assert_int_eq(check_query("/collections/c/items", "limit", &err), STATUS_OK);
    ck_assert_int_eq(check_query("/collections/c/items", "encoding", &err), STATUS_OK);
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
        ck_assert_int_eq(check_query("/collections/c/items", unknown[i], NULL), STATUS_INVALID);
    ck_assert_int_eq(check_query("/collections/c/items", "a/b", &err), STATUS_INVALID);
    ck_assert_str_eq(err.where, "/a~1b");
    ck_assert_str_eq(err.message, "\"a/b\" is not a parameter of this request, expected some of: "
                                  "filter, limit, after, include, encoding");
    ck_assert_int_eq(check_query("/models", "limit", NULL), STATUS_INVALID);
    ck_assert_int_eq(check_query("/livez", "limit", NULL), STATUS_OK);
    ck_assert_int_eq(check_query("/v1/models", "limit", NULL), STATUS_OK);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("routes");
    tcase_add_test(tests, fixed_paths);
    tcase_add_test(tests, parameters);
    tcase_add_test(tests, long_parameters);
    tcase_add_test(tests, methods);
    tcase_add_test(tests, queries);
    return program_run("routes", tests, CK_NOFORK);
}
