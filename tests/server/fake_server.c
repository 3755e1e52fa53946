/* fake_server.c - our HTTP side in front of an api that echoes, sleeps and counts.
 *
 * A program for the black-box tests, not a test: what they want to see of server/ is
 * independent of any model, and some of it (slow handlers, large answers) a real api
 * does not offer. Arguments are name=value, the names of struct http_server_options
 * and drain_ms. It defines the functions of api/api.h that server/ calls, so the real
 * ones stay in the archive. Runs until SIGTERM. */
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/response.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "server/http_server.h"

enum { BODY_MAX = 8 << 20, ANSWER_MAX = 256 << 20, BLOCK_SIZE = 64 << 10 };

/* What the api saw, for GET /stats. */
struct api {
    _Atomic uint64_t admitted, handled, finished, unsent, refused, smuggled;
    _Atomic uint64_t no_status;    /* finished without an answer: must stay 0 */
    _Atomic uint64_t asleep, gone; /* gone: clients that were seen to leave meanwhile */
    _Atomic uint64_t producing;    /* streams that are being made */
    _Atomic uint64_t uploading;    /* bodies that are being read */
    api_server_stats_fn *read_stats;
    void *stats_context;
};

static bool is_path(const struct http_request *request, const char *path) {
    return strcmp(request->path, path) == 0; /* none of ours needs an encoded character */
}

static uint64_t query_number(const struct http_request *request, const char *name) {
    const char *text = request->query(request, name);
    return text ? strtoull(text, NULL, 10) : 0;
}

static void put(struct http_response *response, int status, const char *text) {
    response_init(response, status, "text/plain");
    buffer_append(&response->body, text, strlen(text), NULL);
}

bool api_admit(struct api *api, struct http_request *request, struct api_admission *admission,
               struct http_response *response) {
    static const char *const paths[] = {"/ping",   "/echo",   "/sleep",       "/big",
                                        "/stats",  "/form",   "/embed/image", "/embed/text",
                                        "/stream", "/upload", "/probe",       "/path%2fof/it"};
    atomic_fetch_add(&api->admitted, 1);
    if (is_path(request, "/smug")) atomic_fetch_add(&api->smuggled, 1);
    admission->immediate = is_path(request, "/ping") || is_path(request, "/stats");
    admission->probing = is_path(request, "/probe");
    admission->form = is_path(request, "/form") || is_path(request, "/embed/image");
    admission->streamed = is_path(request, "/upload");
    admission->body_max = BODY_MAX;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        if (is_path(request, paths[i])) return true;
    }
    put(response, 404, "no such path\n");
    return false;
}

static void put_stats(struct api *api, struct http_response *response) {
    struct api_server_stats stats = {0};
    api->read_stats(api->stats_context, &stats);
    put(response, 200, "");
    buffer_printf(&response->body, NULL,
                  "{\"admitted\":%llu,\"handled\":%llu,\"finished\":%llu,\"unsent\":%llu,"
                  "\"refused\":%llu,\"smuggled\":%llu,\"no_status\":%llu,\"connections\":%llu,"
                  "\"active\":%llu,\"body_bytes\":%llu,\"answer_bytes\":%llu,\"producing\":%llu,"
                  "\"uploading\":%llu,\"asleep\":%llu,\"gone\":%llu}\n",
                  (unsigned long long)api->admitted, (unsigned long long)api->handled,
                  (unsigned long long)api->finished, (unsigned long long)api->unsent,
                  (unsigned long long)api->refused, (unsigned long long)api->smuggled,
                  (unsigned long long)api->no_status, (unsigned long long)stats.connections,
                  (unsigned long long)stats.requests_active, (unsigned long long)stats.body_bytes,
                  (unsigned long long)stats.answer_bytes, (unsigned long long)api->producing,
                  (unsigned long long)api->uploading, (unsigned long long)api->asleep,
                  (unsigned long long)api->gone);
}

/* GET /stream?lines=&pause_ms=&last_ms=&fail=: numbered lines, with a pause before each, or in
 * blocks without, and one before the last, which ends when nobody waits for it. */
struct lines {
    struct api *api;
    uint64_t count, pause_ms, last_ms;
    bool fails;
};

static enum status pause_before_last(const struct lines *lines, struct http_sink *sink,
                                     struct error *err) {
    enum status status = STATUS_OK;
    uint64_t end_ns = clock_deadline(lines->last_ms);
    while (!status && clock_now_ns() < end_ns) {
        usleep(5000);
        status = sink->write(sink, (struct bytes){0}, err);
    }
    return status;
}

static enum status produce_lines(void *context, struct http_sink *sink, struct error *err) {
    struct lines *lines = context;
    struct buffer block;
    enum status status = STATUS_OK;
    buffer_init(&block, ANSWER_MAX);
    for (uint64_t i = 0; i < lines->count && !status; i++) {
        if (lines->pause_ms) usleep((useconds_t)(lines->pause_ms * 1000));
        if (lines->last_ms && i + 1 == lines->count) status = pause_before_last(lines, sink, err);
        buffer_printf(&block, NULL, "line %llu of a long answer\n", (unsigned long long)i);
        bool whole = lines->pause_ms || lines->last_ms || i + 1 == lines->count;
        if (block.size < BLOCK_SIZE && !whole) continue;
        if (!status) status = sink->write(sink, buffer_view(&block), err);
        block.size = 0;
    }
    buffer_free(&block);
    if (!status && lines->fails) status = error_set(err, STATUS_IO, "as it was asked to");
    return status;
}

static void release_lines(void *context) {
    struct lines *lines = context;
    atomic_fetch_sub(&lines->api->producing, 1);
    free(lines);
}

static void put_stream(struct api *api, const struct http_request *request,
                       struct http_response *response) {
    struct lines *lines = calloc(1, sizeof(*lines));
    if (!lines) abort();
    *lines = (struct lines){.api = api,
                            .count = query_number(request, "lines"),
                            .pause_ms = query_number(request, "pause_ms"),
                            .last_ms = query_number(request, "last_ms"),
                            .fails = query_number(request, "fail")};
    atomic_fetch_add(&api->producing, 1);
    put(response, 200, "");
    response->produce = produce_lines;
    response->release = release_lines;
    response->context = lines;
}

/* POST /upload?pause_ms=&stop=&refuse=: counts what comes, with a pause for each part, until
 * `stop` bytes were there. Lines are taken whole, as a real handler does. */
static void put_upload(struct api *api, struct http_request *request,
                       struct http_response *response) {
    uint64_t pause_ms = query_number(request, "pause_ms"), stop = query_number(request, "stop");
    uint64_t bytes = 0, parts = 0, sum = 0;
    size_t used = 0;
    bool ended = query_number(request, "refuse");
    enum status status = STATUS_OK;
    struct error err = ERROR_NONE;
    atomic_fetch_add(&api->uploading, 1);
    while (!ended && !status && (!stop || bytes < stop)) {
        status = request->more(request, used, &ended, &err);
        if (status) break;
        const struct bytes part = request->body;
        const uint8_t *feed = ended || !part.size ? NULL : memrchr(part.data, '\n', part.size);
        used = feed ? (size_t)(feed - part.data) + 1 : ended ? part.size : 0;
        for (size_t i = 0; i < used; i++) sum += part.data[i];
        bytes += used;
        parts++;
        if (!used && part.size >= BODY_MAX)
            status = error_set(&err, STATUS_TOO_LARGE, "an endless line");
        if (pause_ms) usleep((useconds_t)(pause_ms * 1000));
    }
    atomic_fetch_sub(&api->uploading, 1);
    if (status) {
        api_refuse(api, request, 0, &err, response);
        return;
    }
    put(response, query_number(request, "refuse") ? 404 : 200, "");
    buffer_printf(&response->body, NULL, "{\"bytes\":%llu,\"parts\":%llu,\"sum\":%llu}\n",
                  (unsigned long long)bytes, (unsigned long long)parts, (unsigned long long)sum);
}

/* One line for each part: name, filename, type, size, and the sum of its bytes. */
static void put_form(const struct http_request *request, struct http_response *response) {
    put(response, 200, "");
    for (size_t i = 0; i < request->parts_count; i++) {
        const struct http_part *part = &request->parts[i];
        uint64_t sum = 0;
        for (size_t k = 0; k < part->data.size; k++) sum += part->data.data[k];
        buffer_printf(&response->body, NULL, "%s|%s|%s|%zu|%llu\n", part->name, part->filename,
                      part->content_type, part->data.size, (unsigned long long)sum);
    }
}

static void put_big(struct api *api, struct http_request *request, struct http_response *response) {
    struct error err = ERROR_NONE;
    uint64_t size = query_number(request, "bytes");
    put(response, 200, "");
    uint8_t *to = size < ANSWER_MAX ? buffer_reserve(&response->body, size, NULL) : NULL;
    if (to) memset(to, 'x', size);
    if (to) response->body.size = size;
    if (response_charge(response, &err)) api_refuse(api, request, 0, &err, response);
}

/* Until the time is over or the client is known to have gone. */
static void put_sleep(struct api *api, struct http_request *request,
                      struct http_response *response) {
    uint64_t end_ns = clock_now_ns() + query_number(request, "ms") * CLOCK_NS_PER_MS;
    atomic_fetch_add(&api->asleep, 1);
    bool gone = false;
    while (!gone && clock_now_ns() < end_ns) {
        uint64_t left_us = (end_ns - clock_now_ns()) / 1000;
        usleep(left_us < 5000 ? (useconds_t)left_us : 5000);
        gone = atomic_load(request->gone);
    }
    atomic_fetch_sub(&api->asleep, 1);
    if (gone) atomic_fetch_add(&api->gone, 1);
    put(response, 200, "slept\n");
}

void api_handle(struct api *api, struct http_request *request, struct http_response *response) {
    atomic_fetch_add(&api->handled, 1);
    if (is_path(request, "/stats")) {
        put_stats(api, response);
    } else if (is_path(request, "/sleep") || is_path(request, "/probe")) {
        put_sleep(api, request, response);
    } else if (is_path(request, "/big")) {
        put_big(api, request, response);
    } else if (is_path(request, "/echo")) {
        put(response, 200, "");
        buffer_append(&response->body, request->body.data, request->body.size, NULL);
    } else if (is_path(request, "/stream")) {
        put_stream(api, request, response);
    } else if (is_path(request, "/upload")) {
        put_upload(api, request, response);
    } else if (is_path(request, "/form")) {
        put_form(request, response);
    } else if (is_path(request, "/embed/image")) {
        put(response, 415, "no image\n");
    } else {
        put(response, 200, "pong\n");
    }
}

void api_refuse(struct api *api, struct http_request *request, int http_status,
                const struct error *err, struct http_response *response) {
    (void)request;
    atomic_fetch_add(&api->refused, 1);
    bool later = err->status == STATUS_OVERLOADED || err->status == STATUS_UNAVAILABLE;
    int status = err->status == STATUS_TOO_LARGE     ? 413
                 : err->status == STATUS_UNSUPPORTED ? 415
                 : err->status == STATUS_INVALID     ? 400
                 : later                             ? 503
                                                     : 500;
    put(response, http_status ? http_status : status, err->message);
    if (!later) return;
    response->headers[response->headers_count++] =
        (struct http_header){.name = "Retry-After", .value = "1"};
}

void api_finish(struct api *api, struct http_request *request, const struct http_response *response,
                bool sent) {
    (void)request;
    atomic_fetch_add(&api->finished, 1);
    if (!sent) atomic_fetch_add(&api->unsent, 1);
    if (!response->status) atomic_fetch_add(&api->no_status, 1);
}

void api_set_server_stats(struct api *api, api_server_stats_fn *read, void *context) {
    api->read_stats = read;
    api->stats_context = context;
}

/* Returns whether `argument` was understood. */
static bool set_option(struct http_server_options *options, uint32_t *drain_ms, char *argument) {
    char *value = strchr(argument, '=');
    if (!value) return false;
    *value++ = '\0';
    struct {
        const char *name;
        uint32_t *number;
    } numbers[] = {{"connections_max", &options->connections_max},
                   {"requests_max", &options->requests_max},
                   {"io_threads", &options->io_threads},
                   {"idle_timeout_s", &options->idle_timeout_s},
                   {"request_timeout_s", &options->request_timeout_s},
                   {"drain_ms", drain_ms}};
    if (!strcmp(argument, "address")) {
        options->address = value;
        return true;
    }
    unsigned long number = strtoul(value, NULL, 10);
    if (!strcmp(argument, "memory_max")) options->memory_max = number;
    if (!strcmp(argument, "rate_min")) options->rate_min = number;
    if (!strcmp(argument, "port")) options->port = (uint16_t)number;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (!strcmp(argument, numbers[i].name)) *numbers[i].number = (uint32_t)number;
    }
    return true;
}

/* A handler rather than sigwait(): a sanitizer's own thread may get the signal. */
static sem_t stop;

static void on_signal(int number) {
    (void)number;
    sem_post(&stop);
}

int main(int argc, char **argv) {
    struct http_server_options options = http_server_options_default;
    uint32_t drain_ms = 10000;
    options.port = 0;
    for (int i = 1; i < argc; i++) {
        if (!set_option(&options, &drain_ms, argv[i])) return 64;
    }
    sem_init(&stop, 0, 0);
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_signal}, NULL);

    struct api api = {0};
    struct http_server *server;
    struct error err = ERROR_NONE;
    if (http_server_start(&server, &options, &api, &err) != STATUS_OK) {
        fprintf(stderr, "%s: %s\n", status_name(err.status), err.message);
        return 1;
    }
    fprintf(stderr, "listening on http://%s:%u\n", options.address, http_server_port(server));
    while (sem_wait(&stop)) continue; /* interrupted */
    uint64_t start = clock_now_ns();
    http_server_stop(server, drain_ms);
    fprintf(stderr, "stopped after %llu ms, %llu admitted, %llu finished, %llu unsent\n",
            (unsigned long long)((clock_now_ns() - start) / CLOCK_NS_PER_MS),
            (unsigned long long)api.admitted, (unsigned long long)api.finished,
            (unsigned long long)api.unsent);
    return api.no_status ? 2 : 0;
}
