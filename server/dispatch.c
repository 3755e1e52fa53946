#include "server/dispatch.h"

#include <assert.h>

#include "core/base/clock.h"
#include "server/answer.h"
#include "server/multipart.h"

/* Probes that make way for each other do so within this time, on a busy machine, too. */
static const uint64_t probe_hangs_ns = UINT64_C(2000000000);

void dispatch_handle(struct exchange *exchange) {
    struct http_request *request = &exchange->request;
    const char *type = request->header(request, "Content-Type");
    if (exchange->admission.form && multipart_is_form(type)) {
        struct error err = ERROR_NONE;
        buffer_init(&exchange->parts, MULTIPART_PARTS_MAX * sizeof(struct http_part));
        if (multipart_parse(&exchange->parts, exchange->body.data, exchange->body.size, type,
                            &err) != STATUS_OK) {
            exchange_refuse(exchange, 0, &err);
            return;
        }
        request->parts = (const struct http_part *)(const void *)exchange->parts.data;
        request->parts_count = exchange->parts.size / sizeof(struct http_part);
    } else {
        request->body = buffer_view(&exchange->body);
    }
    api_handle(exchange->service->api, request, &exchange->response);
    exchange->stage = STAGE_ANSWERED;
}

/* What the exchange counts among while it is handled on a pool. */
static _Atomic size_t *count_of(struct exchange *exchange) {
    struct exchange_service *service = exchange->service;
    return exchange->admission.probing ? &service->probing : &service->running;
}

static void note_probe(struct exchange *exchange) {
    if (exchange->admission.probing) atomic_store(&exchange->service->probed_ns, clock_now_ns());
}

/* Hands the exchange back to its I/O thread. */
static void resume(struct exchange *exchange) {
    note_probe(exchange);
    /* Before the client can have its answer: the next request finds room. */
    atomic_fetch_sub(count_of(exchange), 1);
    exchange_resume(exchange);
}

/* A task of a pool. */
static void run(void *context, size_t index) {
    struct exchange *exchange = context;
    struct exchange_service *service = exchange->service;
    (void)index;
    note_probe(exchange);
    dispatch_handle(exchange);
    assert(!exchange->admission.probing || !exchange->response.produce);
    if (exchange->upload && !exchange_end_upload(exchange)) {
        atomic_fetch_sub(&service->running, 1);
        return;
    }
    exchange_release_body(exchange); /* the client may take long to take the answer */
    if (!answer_produce(exchange)) resume(exchange);
}

/* Counts the exchange, and says whether that is one too many. A probe waits while others are
 * answered, but not behind those that hang. */
static enum status find_room(struct exchange *exchange, struct error *err) {
    struct exchange_service *service = exchange->service;
    /* Before it is counted: whoever finds no room finds when those began that have taken it. */
    if (atomic_load(&service->probing) < EXCHANGE_PROBES_MAX) note_probe(exchange);
    size_t before = atomic_fetch_add(count_of(exchange), 1);
    if (!exchange->admission.probing) {
        if (before < service->requests_max) return STATUS_OK;
        return error_set(err, STATUS_OVERLOADED,
                         "%u requests are being handled, which is the limit",
                         service->requests_max);
    }
    if (before < EXCHANGE_PROBES_MAX) return STATUS_OK;
    uint64_t probed_ns = atomic_load(&service->probed_ns);
    uint64_t hangs_ns = clock_now_ns() - probed_ns;
    if (before < EXCHANGE_PROBES_WAITING && hangs_ns < probe_hangs_ns) return STATUS_OK;
    return error_set(err, STATUS_OVERLOADED, "%zu probes wait, and none was answered for %llu ms",
                     before, (unsigned long long)(hangs_ns / CLOCK_NS_PER_MS));
}

enum MHD_Result dispatch_submit(struct exchange *exchange) {
    struct exchange_service *service = exchange->service;
    struct thread_pool *pool = exchange->admission.probing ? service->probes : service->pool;
    struct error err = ERROR_NONE;
    if (find_room(exchange, &err) == STATUS_OK) {
        if (exchange_suspend(exchange)) {
            exchange->stage = exchange->upload ? STAGE_UPLOADING : STAGE_RUNNING;
            /* Nothing of the body is unread then, and all answers before are with the kernel. */
            if (!exchange->upload)
                connection_watch(service->connections, exchange->connection,
                                 exchange->takes_interim);
            if (thread_pool_submit(pool, run, exchange, &err) == STATUS_OK) return MHD_YES;
            exchange_refuse(exchange, 0, &err);
            if (exchange->upload) exchange_end_upload(exchange);
            /* Back to exchange_step(), which queues the refusal. */
            resume(exchange);
            return MHD_YES;
        }
        error_set(&err, STATUS_UNAVAILABLE, "the server is stopping");
    }
    atomic_fetch_sub(count_of(exchange), 1);
    if (exchange->upload) connection_linger(exchange->connection);
    exchange_refuse(exchange, 0, &err);
    return answer_queue(exchange);
}
