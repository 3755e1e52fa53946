#include "tests/support/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/base64.h"
#include "core/base/log.h"

struct api *service_api;
struct http_response service_response;
struct buffer service_pixel;

static struct registry *registry;

/* Fuzz targets are linked with this folder, and not with Check: what goes wrong aborts. */
static void expect(bool good, const char *about, const char *what) {
    if (good) return;
    fprintf(stderr, "%s: %s\n%d %.*s\n", about, what, service_response.status,
            (int)service_response.body.size, (const char *)service_response.body.data);
    abort();
}

void service_open(void) {
    struct error err = ERROR_NONE;
    struct api_options options = api_options_default;
    const char *aliases[] = {"small", "a/b"};
    struct registry_model model = {.engine = {.name = "starter", .path = "models/starter"},
                                   .aliases = aliases,
                                   .aliases_count = 2};
    struct registry_setup setup = {.models = &model, .models_count = 1};
    options.images_max = 4;
    options.texts_max = 64;
    log_init(LOG_OFF, LOG_TEXT);
    buffer_init(&service_pixel, 4096);
    base64_decode(&service_pixel, bytes_of(SERVICE_PIXEL), &err);
    registry_create(&registry, &runtime_options_default, &err);
    registry_configure(registry, &setup, &err);
    api_create(&service_api, &options, registry, &err);
    expect(err.status == STATUS_OK, "models/starter", err.message);
    api_set_state(service_api, API_READY);
}

void service_close(void) {
    api_destroy(service_api);
    registry_destroy(registry);
    buffer_free(&service_pixel);
}

void service_begin(void) {
    service_response = (struct http_response){0};
}

void service_end(void) {
    buffer_free(&service_response.body);
}

const char *service_header(const char *name) {
    for (size_t i = 0; i < service_response.headers_count; i++) {
        if (strcmp(service_response.headers[i].name, name) == 0)
            return service_response.headers[i].value;
    }
    return "";
}

int service_run(struct fake_request *fake) {
    struct api_admission admission;
    if (api_admit(service_api, &fake->request, &admission, &service_response)) {
        api_handle(service_api, &fake->request, &service_response);
    }
    api_finish(service_api, &fake->request, &service_response, true);
    return service_response.status;
}

json_t *service_body(void) {
    json_t *root =
        json_loadb((const char *)service_response.body.data, service_response.body.size, 0, NULL);
    expect(root, "the answer", "is no JSON");
    return root;
}

json_t *service_post(const char *path, const char *text, int status) {
    struct fake_request fake;
    fake_request_init(&fake, path, "application/json", bytes_of(text));
    expect(service_run(&fake) == status, text, "has another status");
    return service_body();
}

json_t *service_get(const char *path, int status) {
    struct fake_request fake;
    fake_request_init(&fake, path, NULL, (struct bytes){0});
    fake.request.method = HTTP_GET;
    expect(service_run(&fake) == status, path, "has another status");
    return strstr(service_response.content_type, "json") ? service_body() : NULL;
}

const char *service_string(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "(none)";
}

double service_number(const json_t *array, size_t index) {
    return json_number_value(json_array_get(array, index));
}

void service_check_problem(const char *path, const char *text, int status, const char *code,
                           const char *pointer, int index) {
    json_t *problem = service_post(path, text, status);
    const json_t *error = json_array_get(json_object_get(problem, "errors"), 0);
    const json_t *at = json_object_get(problem, "index");
    const char *type = service_response.content_type;
    expect(!strcmp(type, "application/problem+json"), text, type);
    expect(json_integer_value(json_object_get(problem, "status")) == status, text, "status");
    expect(!strcmp(service_string(problem, "code"), code), text, "code");
    expect(!strcmp(service_string(problem, "type"), "about:blank"), text, "type");
    expect(!strcmp(service_string(problem, "instance"), "test"), text, "instance");
    expect(!strcmp(service_string(error, "pointer"), pointer ? pointer : "(none)"), text,
           "pointer");
    expect((at ? (int)json_integer_value(at) : -1) == index, text, "index");
    json_decref(problem);
}
