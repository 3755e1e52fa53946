/* What an exchange does when it is called as libmicrohttpd calls it. This program plays the
 * library, and the api, because what matters here lies between two calls of theirs. */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "server/exchange_state.h"
#include "tests/support/program.h"

static const size_t mib = 1 << 20, block_size = 4 << 20, body_max = 8 << 20;

/* ---- the library ---- */

struct MHD_Response {
    uint64_t size;
    MHD_ContentReaderCallback reader;
    void *context;
};

struct MHD_Connection {
    const char *framing[2]; /* a header beside Host; NULL: none */
    bool suspended;
    _Atomic bool resumed;
    unsigned status; /* of the answer that was queued */
    /* Of that, when it is asked for. */
    MHD_ContentReaderCallback reader;
    void *reader_context;
    uint64_t answer_size;
    void *own; /* the exchange */
};

void MHD_suspend_connection(struct MHD_Connection *connection) {
    ck_assert(!connection->suspended);
    connection->suspended = true;
}

void MHD_resume_connection(struct MHD_Connection *connection) {
    atomic_store(&connection->resumed, true);
}

const union MHD_ConnectionInfo *MHD_get_connection_info(struct MHD_Connection *connection,
                                                        enum MHD_ConnectionInfoType type, ...) {
    (void)connection;
    (void)type;
    return NULL;
}

const char *MHD_lookup_connection_value(struct MHD_Connection *connection, enum MHD_ValueKind kind,
                                        const char *key) {
    bool asked = kind == MHD_HEADER_KIND && connection->framing[0];
    return asked && !strcmp(connection->framing[0], key) ? connection->framing[1] : NULL;
}

int MHD_get_connection_values_n(struct MHD_Connection *connection, enum MHD_ValueKind kind,
                                MHD_KeyValueIteratorN iterator, void *context) {
    const char *name = connection->framing[0], *value = connection->framing[1];
    iterator(context, kind, "Host", 4, "x", 1);
    if (name) iterator(context, kind, name, strlen(name), value, strlen(value));
    return name ? 2 : 1;
}

struct MHD_Response *MHD_create_response_from_buffer(size_t size, void *buffer,
                                                     enum MHD_ResponseMemoryMode mode) {
    (void)size;
    (void)buffer;
    (void)mode;
    return calloc(1, sizeof(struct MHD_Response));
}

struct MHD_Response *MHD_create_response_from_callback(uint64_t size, size_t block,
                                                       MHD_ContentReaderCallback reader,
                                                       void *context,
                                                       MHD_ContentReaderFreeCallback release) {
    struct MHD_Response *response = calloc(1, sizeof(*response));
    (void)block;
    (void)release;
    *response = (struct MHD_Response){size, reader, context};
    return response;
}

enum MHD_Result MHD_add_response_header(struct MHD_Response *response, const char *name,
                                        const char *value) {
    return response && name && value ? MHD_YES : MHD_NO;
}

enum MHD_Result MHD_set_response_options(struct MHD_Response *response,
                                         enum MHD_ResponseFlags flags, ...) {
    (void)flags;
    return response ? MHD_YES : MHD_NO;
}

enum MHD_Result MHD_queue_response(struct MHD_Connection *connection, unsigned status,
                                   struct MHD_Response *response) {
    ck_assert_ptr_nonnull(response);
    ck_assert_uint_eq(connection->status, 0);
    connection->status = status;
    connection->answer_size = response->size;
    connection->reader = response->reader;
    connection->reader_context = response->context;
    return MHD_YES;
}

void MHD_destroy_response(struct MHD_Response *response) {
    free(response);
}

/* ---- the api ---- */

struct api {
    bool streamed;
    uint64_t parts_max; /* that the handler asks for */
    uint64_t parts, bytes;
    bool fails; /* because of the body */
    size_t answer_size;
    struct error refusal;
};

static void answer(struct http_response *response, int status) {
    buffer_free(&response->body);
    response->status = status;
    buffer_init(&response->body, mib);
}

bool api_admit(struct api *api, struct http_request *request, struct api_admission *admission,
               struct http_response *response) {
    (void)request;
    (void)response;
    *admission = (struct api_admission){.streamed = api->streamed, .body_max = body_max};
    return true;
}

/* Takes all that there is, part by part. */
void api_handle(struct api *api, struct http_request *request, struct http_response *response) {
    bool ended = !api->streamed;
    struct error err = ERROR_NONE;
    if (ended) api->bytes = request->body.size;
    while (!ended && !api->fails && api->parts < api->parts_max) {
        api->fails = request->more(request, request->body.size, &ended, &err) != STATUS_OK;
        if (!api->fails) api->bytes += request->body.size;
        api->parts++;
    }
    answer(response, api->fails ? 503 : 200);
    uint8_t *body = buffer_reserve(&response->body, api->answer_size, NULL);
    for (size_t i = 0; i < api->answer_size; i++) body[i] = (uint8_t)(i * 2654435761u >> 24);
    response->body.size = api->answer_size;
}

void api_refuse(struct api *api, struct http_request *request, int http_status,
                const struct error *err, struct http_response *response) {
    (void)request;
    api->refusal = *err;
    answer(response, http_status ? http_status : 503);
}

void api_finish(struct api *api, struct http_request *request, const struct http_response *response,
                bool sent) {
    (void)api;
    (void)request;
    (void)response;
    (void)sent;
}

/* ---- the tests ---- */

static struct api api;
static struct exchange_service service;
static struct exchange_loop loop;
static struct MHD_Connection connection;
static char *data; /* [block_size] */

static void setup(void) {
    api = (struct api){.streamed = true, .parts_max = UINT64_MAX};
    service = (struct exchange_service){.api = &api, .requests_max = 4};
    service.request_timeout_ns = service.idle_timeout_ns = 3600ULL * 1000000000;
    service.memory.max = 64 * mib;
    service.rate_min = mib;
    loop = (struct exchange_loop){.service = &service, .wake = eventfd(0, 0)};
    connection = (struct MHD_Connection){.framing = {"Transfer-Encoding", "chunked"}};
    data = calloc(1, block_size);
    struct thread_pool_options pool = {
        .name = "request", .threads = 1, .queue_limit = 1, .stack_size = mib};
    ck_assert_int_eq(thread_pool_create(&service.pool, &pool, NULL), STATUS_OK);
}

static void teardown(void) {
    if (connection.own)
        exchange_end(&loop, &connection, &connection.own, MHD_REQUEST_TERMINATED_COMPLETED_OK);
    thread_pool_destroy(service.pool);
    ck_assert_uint_eq(service.memory.used, 0);
    ck_assert_uint_eq(service.running, 0);
    ck_assert_uint_eq(service.suspended, 0);
    close(loop.wake);
    free(data);
}

/* Returns how much of it stays with the library. */
static size_t step(size_t size) {
    size_t left = size;
    ck_assert(!connection.suspended);
    enum MHD_Result result =
        exchange_step(&loop, &connection, "/x", "POST", "HTTP/1.1", data, &left, &connection.own);
    ck_assert_int_eq(result, MHD_YES);
    /* Nothing else keeps it from going on to the next chunk. */
    if (connection.suspended) ck_assert(!size || left);
    return left;
}

static void wait_for_resume(void) {
    ck_assert(connection.suspended);
    while (!atomic_exchange(&connection.resumed, false)) sched_yield();
    connection.suspended = false;
}

/* The header section, and what the library asks of it again. */
static void begin(void) {
    connection.own = exchange_begin(&loop, "/x", &connection);
    step(0);
    if (!connection.suspended) return;
    wait_for_resume();
    step(0);
}

START_TEST(nothing_comes_while_it_is_suspended) {
    begin();
    ck_assert(!connection.suspended);
    ck_assert_uint_eq(step(block_size), 0); /* all that is wanted, and no more */
    ck_assert(!connection.suspended);
    ck_assert_uint_eq(step(1), 1); /* the next chunk */
    wait_for_resume();
    ck_assert_uint_eq(step(1), 0);
    ck_assert_uint_eq(step(block_size), 1);
    wait_for_resume();
    ck_assert_uint_eq(step(1), 0);
    step(0);
    wait_for_resume();
    step(0);
    ck_assert_uint_eq(connection.status, 200);
    ck_assert_uint_eq(api.bytes, 2 * block_size + 1);
}
END_TEST

START_TEST(chunks_of_any_size) {
    uint64_t sent = 0;
    begin();
    for (size_t i = 0; i < 2000; i++) {
        size_t size = i % 7 ? i % 5 + 1 : i * 613 % block_size;
        for (size_t left = size; left;) {
            left = step(left);
            if (connection.suspended) wait_for_resume();
        }
        sent += size;
    }
    step(0);
    wait_for_resume();
    step(0);
    ck_assert_uint_eq(connection.status, 200);
    ck_assert_uint_eq(api.bytes, sent);
}
END_TEST

START_TEST(a_body_is_held_until_it_is_handled) {
    api.streamed = false;
    begin();
    step(mib);
    step(mib);
    ck_assert_uint_ge(budget_used(&service.memory), 2 * mib);
    step(0);
    wait_for_resume();
    ck_assert_uint_eq(api.bytes, 2 * mib);
    ck_assert_uint_eq(budget_used(&service.memory), 0); /* and not until its answer is sent */
    step(0);
    ck_assert_uint_eq(connection.status, 200);
}
END_TEST

START_TEST(no_length) {
    connection.framing[0] = NULL;
    begin();
    ck_assert(!connection.suspended);
    step(0);
    ck_assert_uint_eq(connection.status, MHD_HTTP_LENGTH_REQUIRED);
    ck_assert_uint_eq(api.parts, 0);
}
END_TEST

START_TEST(a_rest_that_nobody_wants) {
    struct exchange *exchange;
    api.parts_max = 1;
    begin();
    step(block_size);
    ck_assert_uint_eq(step(block_size), block_size);
    wait_for_resume();
    exchange = connection.own;
    for (int i = 0; i < 100; i++) {
        uint64_t deadline_ns = exchange->deadline_ns;
        ck_assert_uint_eq(step(block_size), 0);
        /* As long as more comes, the client has time. */
        ck_assert_uint_gt(exchange->deadline_ns, deadline_ns);
    }
    step(0);
    ck_assert_uint_eq(connection.status, 200);
    ck_assert_uint_eq(api.bytes, block_size);
}
END_TEST

START_TEST(the_client_leaves) {
    begin();
    step(block_size);
    step(1);
    wait_for_resume();
    step(1000);
    exchange_end(&loop, &connection, &connection.own, MHD_REQUEST_TERMINATED_READ_ERROR);
    ck_assert(api.fails);
    ck_assert_ptr_nonnull(strstr(api.refusal.message, "after 4195304 bytes"));
}
END_TEST

START_TEST(no_memory_for_the_body) {
    service.memory.max = mib;
    begin();
    ck_assert_uint_eq(step(mib / 2), 0);
    ck_assert_uint_eq(step(mib), mib);
    wait_for_resume();
    ck_assert(api.fails);
    ck_assert_uint_eq(step(mib), 0); /* thrown away */
    step(0);
    ck_assert_uint_eq(connection.status, 503);
}
END_TEST

static void ask_for(size_t answer_size) {
    api.streamed = false;
    api.answer_size = answer_size;
    begin();
    step(0);
    wait_for_resume();
    step(0);
    ck_assert_uint_eq(connection.status, 200);
}

START_TEST(a_short_answer_goes_as_it_is) {
    ask_for(64 << 10);
    ck_assert(!connection.reader);
}
END_TEST

/* A block gives the time that it takes at the lowest rate. What is taken off before keeps that from
 * the bound on it. */
START_TEST(a_long_answer_is_taken_at_a_rate) {
    enum { SIZE = (64 << 10) + 1, BLOCK = 1000 };
    static const uint64_t block_ns = BLOCK * UINT64_C(1000000000) / (1 << 20);
    char block[BLOCK];
    ask_for(SIZE);
    ck_assert_uint_eq(connection.answer_size, SIZE);
    struct exchange *exchange = connection.own;
    uint64_t taken = 0;
    while (taken < SIZE) {
        uint64_t deadline_ns = exchange->deadline_ns -= 60 * UINT64_C(1000000000);
        ssize_t size = connection.reader(connection.reader_context, taken, block, BLOCK);
        ck_assert_int_eq(size, SIZE - taken < BLOCK ? SIZE - taken : BLOCK);
        ck_assert_int_eq(memcmp(block, exchange->response.body.data + taken, (size_t)size), 0);
        if (size == BLOCK) ck_assert_uint_eq(exchange->deadline_ns, deadline_ns + block_ns);
        taken += (uint64_t)size;
    }
}
END_TEST

/* However much it takes at a time. */
START_TEST(nobody_has_longer_than_a_request) {
    static char block[1 << 20];
    service.rate_min = 1;
    ask_for(sizeof(block));
    struct exchange *exchange = connection.own;
    uint64_t earliest = exchange->deadline_ns;
    connection.reader(connection.reader_context, 0, block, sizeof(block));
    ck_assert_uint_ge(exchange->deadline_ns, earliest);
    ck_assert_uint_le(exchange->deadline_ns, clock_now_ns() + service.request_timeout_ns);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("exchange");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 0);
    tcase_add_test(tests, nothing_comes_while_it_is_suspended);
    tcase_add_test(tests, chunks_of_any_size);
    tcase_add_test(tests, a_body_is_held_until_it_is_handled);
    tcase_add_test(tests, no_length);
    tcase_add_test(tests, a_rest_that_nobody_wants);
    tcase_add_test(tests, the_client_leaves);
    tcase_add_test(tests, no_memory_for_the_body);
    tcase_add_test(tests, a_short_answer_goes_as_it_is);
    tcase_add_test(tests, a_long_answer_is_taken_at_a_rate);
    tcase_add_test(tests, nobody_has_longer_than_a_request);
    return program_run("exchange", tests, CK_NOFORK);
}
