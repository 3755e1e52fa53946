/* Exports of a collection that changes between the request and its answer. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/context.h"
#include "tests/support/fake_request.h"
#include "tests/support/folder.h"
#include "tests/support/program.h"
#include "tests/support/store_steps.h"

enum { ITEMS = 3, HEADER = 128 }; /* of a .npy file */

static char *folder;
static struct api *api;
static struct collections *c;

/* What an export writes. */
struct taken {
    struct http_sink sink;
    struct buffer bytes;
    size_t most; /* in one piece */
};

static enum status take(struct http_sink *sink, struct bytes data, struct error *err) {
    struct taken *taken = (struct taken *)sink;
    if (data.size > taken->most) taken->most = data.size;
    return buffer_append(&taken->bytes, data.data, data.size, err);
}

static void setup(void) {
    struct collection_spec spec = step_spec_of("c");
    ck_assert_int_eq(api_create(&api, &api_options_default, NULL, NULL), STATUS_OK);
    folder = folder_make();
    c = step_open_store(folder);
    step_make(c, &spec);
    step_put_at(c, "c", "a", 0);
    step_put_at(c, "c", "b", 1);
    step_put_at(c, "c", "c", 2);
    api_set_collections(api, c, NULL);
}

static void teardown(void) {
    api_destroy(api);
    collections_close(c);
    folder_remove(folder);
}

static void ask(struct http_response *response, const char *name, const char *value) {
    struct fake_request fake;
    struct error err = ERROR_NONE;
    fake_request_init(&fake, "/collections/c/export", NULL, (struct bytes){0});
    fake.request.params[0] = "c";
    fake.query[0] = name;
    fake.query[1] = value;
    *response = (struct http_response){0};
    ck_assert_msg(collection_export(api, &fake.request, response, &err) == STATUS_OK, "%s",
                  err.message);
}

static enum status make(struct http_response *response, struct taken *taken) {
    struct error err = ERROR_NONE;
    *taken = (struct taken){.sink = {.write = take}};
    buffer_init(&taken->bytes, 64 << 20);
    enum status status = response->produce(response->context, &taken->sink, &err);
    response->release(response->context);
    return status;
}

/* Asks for an export, does `change`, and lets it be made; *size says how much came. */
static enum status export(const char *format, void (*change)(void), size_t *size) {
    struct http_response response; struct taken taken; ask(&response, "format", format); change();
    enum status status = make(&response, &taken);
    *size = taken.bytes.size;
    buffer_free(&taken.bytes);
    return status;
}

static void nothing(void) {}

/* More dimensions than those that the answer says. */
static void make_wider(void) {
    struct collection_spec spec = step_spec_of("c");
    struct collection_upserted upserted;
    float embedding[2 * STEP_DIM] = {1};
    struct item item = {.id = bytes_of("a"), .embedding = embedding, .dim = 2 * STEP_DIM};
    spec.dim = 2 * STEP_DIM;
    step_make(c, &spec);
    ck_assert_int_eq(collection_upsert(c, "c", step_digest_a, &item, 1, &upserted, NULL),
                     STATUS_OK);
}

/* As many dimensions, which mean something else. */
static void make_of_another_model(void) {
    struct collection_spec spec = step_spec_of("c");
    struct collection_upserted upserted;
    float embedding[STEP_DIM] = {1};
    struct item item = {.id = bytes_of("a"), .embedding = embedding, .dim = STEP_DIM};
    snprintf(spec.model_digest, sizeof(spec.model_digest), "%s", step_digest_b);
    step_make(c, &spec);
    ck_assert_int_eq(collection_upsert(c, "c", step_digest_b, &item, 1, &upserted, NULL),
                     STATUS_OK);
}

static void put_in(void) {
    step_put_at(c, "c", "aa", 0);
}

static void take_out(void) {
    struct bytes id = bytes_of("b");
    uint64_t deleted;
    ck_assert_int_eq(collection_delete(c, "c", &id, 1, &deleted, NULL), STATUS_OK);
}

START_TEST(unchanged) {
    size_t size;
    ck_assert_int_eq(export("npy", nothing, &size), STATUS_OK);
    ck_assert_uint_eq(size, HEADER + (size_t)ITEMS * STEP_DIM * sizeof(float));
    ck_assert_int_eq(export("ndjson", nothing, &size), STATUS_OK);
}
END_TEST

START_TEST(made_anew) {
    static const char *const formats[] = {"npy", "ndjson"};
    size_t size;
    for (size_t i = 0; i < 4; i++) {
        void (*change)(void) = i < 2 ? make_wider : make_of_another_model;
        ck_assert_int_eq(export(formats[i % 2], change, &size), STATUS_CONFLICT);
        teardown();
        setup();
    }
}
END_TEST

/* A .npy file says before its rows how many there are: others would be left out. */
START_TEST(more_or_fewer) {
    size_t size;
    ck_assert_int_eq(export("npy", put_in, &size), STATUS_CONFLICT);
    ck_assert_int_eq(export("npy", take_out, &size), STATUS_CONFLICT);
    ck_assert_int_eq(export("npy", nothing, &size), STATUS_OK);
    ck_assert_int_eq(export("ndjson", take_out, &size), STATUS_OK);
}
END_TEST

/* The client may have left, and its request been forgotten, while the answer is made. */
START_TEST(a_request_that_is_gone) {
    static const char expected[] = "{\"id\":\"a\",\"metadata\":{\"p\":1}}\n";
    char include[] = "metadata.p";
    struct http_response response;
    struct taken taken;
    float embedding[STEP_DIM];
    struct item item = step_item_at("a", 0, embedding);
    item.metadata = bytes_of("{\"p\":1,\"q\":2}");
    step_must_put(c, "c", item);
    ask(&response, "include", include);
    memset(include, 'x', sizeof(include) - 1);
    ck_assert_int_eq(make(&response, &taken), STATUS_OK);
    ck_assert_uint_ge(taken.bytes.size, sizeof(expected) - 1);
    ck_assert_mem_eq(taken.bytes.data, expected, sizeof(expected) - 1);
    buffer_free(&taken.bytes);
}
END_TEST

/* More of them, with ids that come behind those that are there. */
static void put_many(int count, struct bytes thumbnail) {
    struct item *items = calloc((size_t)count, sizeof(*items));
    float(*embeddings)[STEP_DIM] = calloc((size_t)count, sizeof(*embeddings));
    char(*ids)[8] = calloc((size_t)count, sizeof(*ids));
    struct error err = ERROR_NONE;
    for (int i = 0; i < count; i++) {
        snprintf(ids[i], sizeof(ids[i]), "d%03d", i);
        items[i] = step_item_at(ids[i], i, embeddings[i]);
        items[i].thumbnail = thumbnail;
    }
    step_must_be(step_put(c, "c", items, (size_t)count, &err), STATUS_OK, &err, "upsert");
    free(items);
    free(embeddings);
    free(ids);
}

/* A piece has some MiB, whatever the items hold. */
START_TEST(large_items) {
    enum { LARGE = 20 };
    uint8_t *thumbnail = calloc(1, COLLECTION_THUMBNAIL_MAX);
    struct http_response response;
    struct taken taken;
    size_t lines = 0;
    put_many(LARGE, (struct bytes){thumbnail, COLLECTION_THUMBNAIL_MAX});
    ask(&response, "format", "ndjson");
    ck_assert_int_eq(make(&response, &taken), STATUS_OK);
    for (size_t i = 0; i < taken.bytes.size; i++) lines += taken.bytes.data[i] == '\n';
    ck_assert_uint_eq(lines, ITEMS + LARGE);
    ck_assert_uint_lt(taken.most, 4 << 20);
    buffer_free(&taken.bytes);
    free(thumbnail);
}
END_TEST

/* Of several pages, each longer than the one before. */
START_TEST(many_items) {
    enum { MANY = 600 };
    size_t size;
    put_many(MANY, (struct bytes){0});
    ck_assert_int_eq(export("npy", nothing, &size), STATUS_OK);
    ck_assert_uint_eq(size, HEADER + (size_t)(ITEMS + MANY) * STEP_DIM * sizeof(float));
}
END_TEST

/* An item whose metadata has as many values as fit. */
static void put_wide(const char *id) {
    float embedding[STEP_DIM];
    struct item item = step_item_at(id, 0, embedding);
    struct buffer metadata;
    buffer_init(&metadata, COLLECTION_METADATA_MAX);
    buffer_printf(&metadata, NULL, "{\"a\":[[]");
    while (metadata.size + 5 <= COLLECTION_METADATA_MAX) buffer_append(&metadata, ",[]", 3, NULL);
    ck_assert_int_eq(buffer_append(&metadata, "]}", 2, NULL), STATUS_OK);
    item.metadata = buffer_view(&metadata);
    step_must_put(c, "c", item);
    buffer_free(&metadata);
}

static struct buffer lines;

static enum status give(struct http_request *request, size_t used, bool *ended, struct error *err) {
    (void)used, (void)err;
    request->body = buffer_view(&lines);
    *ended = true;
    return STATUS_OK;
}

/* Also when there is no memory for two of its lines at a time. */
START_TEST(what_came_out_goes_in) {
    struct fake_request out, in;
    struct http_response made = {0}, response = {0};
    struct taken taken = {.sink = {.write = take}};
    struct collection_spec spec = step_spec_of("c");
    struct budget memory = {.max = 8 << 20};
    buffer_init(&taken.bytes, 1 << 20);
    put_wide("a");
    put_wide("b");
    put_wide("c");
    fake_request_init(&out, "/collections/c/export", NULL, (struct bytes){0});
    out.request.params[0] = "c";
    ck_assert_int_eq(collection_export(api, &out.request, &made, NULL), STATUS_OK);
    ck_assert_int_eq(made.produce(made.context, &taken.sink, NULL), STATUS_OK);
    made.release(made.context);
    lines = taken.bytes;
    step_make(c, &spec);
    fake_request_init(&in, "/collections/c/items", "application/x-ndjson", (struct bytes){0});
    in.request.params[0] = "c";
    in.request.more = give;
    in.request.memory = &memory;
    ck_assert_int_eq(items_post(api, &in.request, &response, NULL), STATUS_OK);
    ck_assert_int_eq(buffer_append(&response.body, "", 1, NULL), STATUS_OK);
    const char *total = strstr((const char *)response.body.data, "{\"total\"");
    ck_assert_str_eq(total ? total : "(none)",
                     "{\"total\":{\"inserted\":3,\"updated\":0,\"failed\":0}}\n");
    ck_assert_uint_eq(budget_used(&memory), 0);
    buffer_free(&response.body);
    buffer_free(&lines);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("export");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, unchanged);
    tcase_add_test(tests, made_anew);
    tcase_add_test(tests, more_or_fewer);
    tcase_add_test(tests, a_request_that_is_gone);
    tcase_add_test(tests, large_items);
    tcase_add_test(tests, many_items);
    tcase_add_test(tests, what_came_out_goes_in);
    return program_run("export", tests, CK_FORK_GETENV);
}
