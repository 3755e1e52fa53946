/* One thread; libcurl's multi interface runs the sockets. Redirects are followed here and not
 * by libcurl, so that it is plain to see where the token goes. */
#include "hub/transfer.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/clock.h"
#include "hub/transfer_failure.h"
#include "hub/transfer_url.h"

enum {
    REDIRECTS_MAX = 8,
    ATTEMPTS_MAX = 5,
    PROGRESS_MIN = 1 << 20, /* bytes never seen before that make attempts count as a success */
    PAUSE_MS = 1000,        /* before the second attempt; then twice that, and so on */
    RETRY_AFTER_MAX_S = 120,
    WAIT_MS = 200,
    CONNECT_TIMEOUT_S = 20,
    STALLED_S = 30,
    URL_MAX = 8192,
    REASON_SIZE = 160,
};

enum { HTTP_OK = 200, HTTP_PARTIAL = 206, HTTP_RANGE = 416 };

enum state { STATE_WAITING, STATE_RUNNING, STATE_DONE };

struct run;

struct slot {
    struct transfer *transfer;
    struct run *run;
    enum state state;
    CURL *easy;                 /* while running */
    struct curl_slist *headers; /* of the request */
    char *url;                  /* where a redirect has led; NULL: the transfer's own */
    uint64_t due_ns;            /* when waiting: not before */
    uint64_t from, received;    /* of this attempt */
    uint64_t furthest;          /* byte that was reached when attempts were last forgotten */
    uint32_t attempts, redirects;
    bool waited;        /* for another process */
    bool began;         /* the sink has been told of a body */
    enum status status; /* of the sink */
    char problem[CURL_ERROR_SIZE];
};

struct run {
    const struct hub_settings *settings;
    const struct transfer_observer *observer;
    CURLM *multi;
    struct slot *slots;
    size_t count, running;
    struct error *err;
};

static const char *url_of(const struct slot *slot) {
    return slot->url ? slot->url : slot->transfer->url;
}

/* ---- one attempt ---- */

static long code_of(const struct slot *slot) {
    long code = 0;
    curl_easy_getinfo(slot->easy, CURLINFO_RESPONSE_CODE, &code);
    return code;
}

static const char *header_of(const struct slot *slot, const char *name) {
    struct curl_header *header;
    return curl_easy_header(slot->easy, name, 0, CURLH_HEADER, -1, &header) ? NULL : header->value;
}

/* Where the body begins that is about to come. A server may ignore the range. */
static enum status begin_body(struct slot *slot) {
    unsigned long long first = 0;
    if (code_of(slot) == HTTP_PARTIAL) {
        const char *range = header_of(slot, "Content-Range");
        if (!range || sscanf(range, "bytes %llu-", &first) != 1 || first != slot->from)
            return error_set(slot->run->err, STATUS_UNAVAILABLE,
                             "%s: the server answers with 'Content-Range: %.60s', expected one "
                             "from byte %llu on",
                             slot->transfer->name, range ? range : "",
                             (unsigned long long)slot->from);
    }
    slot->began = true;
    slot->from = first;
    return slot->transfer->sink->begin(slot->transfer->context, first, slot->run->err);
}

static size_t receive(char *data, size_t size, size_t count, void *context) {
    struct slot *slot = context;
    const struct transfer_sink *sink = slot->transfer->sink;
    long code = code_of(slot);
    struct bytes part = {(const uint8_t *)data, size * count};
    if (!sink || (code != HTTP_OK && code != HTTP_PARTIAL)) return part.size; /* for nobody */
    if (!slot->began) slot->status = begin_body(slot);
    if (!slot->status) slot->status = sink->write(slot->transfer->context, part, slot->run->err);
    slot->received += part.size;
    return slot->status ? CURL_WRITEFUNC_ERROR : part.size;
}

static bool set_headers(struct slot *slot) {
    const char *token = slot->run->settings->token;
    if (!token || !transfer_same_origin(slot->run->settings->endpoint, url_of(slot))) return true;
    struct buffer line;
    buffer_init(&line, URL_MAX);
    bool made = !buffer_printf(&line, NULL, "Authorization: Bearer %s", token) &&
                !buffer_append(&line, "", 1, NULL);
    if (made) slot->headers = curl_slist_append(NULL, (const char *)line.data);
    buffer_free(&line);
    return made && slot->headers;
}

static enum status start_attempt(struct slot *slot) {
    struct run *run = slot->run;
    CURL *easy = slot->easy = curl_easy_init();
    if (!easy || !set_headers(slot))
        return error_set(run->err, STATUS_NO_MEMORY, "out of memory for a transfer");
    slot->began = false;
    slot->received = 0;
    slot->status = STATUS_OK;
    slot->problem[0] = 0;
    curl_easy_setopt(easy, CURLOPT_URL, url_of(slot));
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "clipd/" CLIPD_VERSION);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, slot->headers);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)STALLED_S);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, slot->problem);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, slot);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, slot);
    curl_easy_setopt(easy, CURLOPT_NOBODY, slot->transfer->sink ? 0L : 1L);
    if (slot->from) {
        char range[32];
        snprintf(range, sizeof(range), "%llu-", (unsigned long long)slot->from);
        curl_easy_setopt(easy, CURLOPT_RANGE, range);
    }
    if (curl_multi_add_handle(run->multi, easy))
        return error_set(run->err, STATUS_INTERNAL, "libcurl takes no more transfers");
    slot->state = STATE_RUNNING;
    run->running++;
    return STATUS_OK;
}

static void end_attempt(struct slot *slot) {
    if (slot->state == STATE_RUNNING) {
        curl_multi_remove_handle(slot->run->multi, slot->easy);
        slot->run->running--;
    }
    curl_easy_cleanup(slot->easy);
    curl_slist_free_all(slot->headers);
    slot->easy = NULL;
    slot->headers = NULL;
    slot->state = STATE_WAITING;
}

static void notice(const struct slot *slot, const char *text) {
    const struct transfer_observer *observer = slot->run->observer;
    char message[3 * REASON_SIZE];
    snprintf(message, sizeof(message), "%.80s: %s", slot->transfer->name, text);
    observer->notice(observer->context, message);
}

/* Starts what waits, if it may. */
static enum status start(struct slot *slot) {
    const struct transfer *transfer = slot->transfer;
    enum transfer_turn turn = TRANSFER_GO;
    enum status status = STATUS_OK;
    slot->from = 0;
    if (transfer->sink)
        status = transfer->sink->prepare(transfer->context, &turn, &slot->from, slot->run->err);
    if (status) return status;
    if (turn == TRANSFER_GO) return start_attempt(slot);
    if (turn == TRANSFER_SKIP) slot->state = STATE_DONE;
    if (turn == TRANSFER_WAIT && !slot->waited) notice(slot, "another process is fetching it");
    slot->waited = turn == TRANSFER_WAIT;
    slot->due_ns = clock_deadline(WAIT_MS);
    return STATUS_OK;
}

/* ---- what came of it ---- */

static enum status try_again(struct slot *slot, const char *reason, curl_off_t retry_after_s) {
    struct run *run = slot->run;
    const char *name = slot->transfer->name;
    /* The same bytes again, of a server that ignores ranges, are no progress. */
    if (slot->from + slot->received >= slot->furthest + PROGRESS_MIN) {
        slot->furthest = slot->from + slot->received;
        slot->attempts = 0;
    }
    slot->attempts++;
    if (slot->attempts >= ATTEMPTS_MAX)
        return error_set(run->err, STATUS_UNAVAILABLE, "%s: %s, %u times in a row", name, reason,
                         slot->attempts);
    if (retry_after_s > RETRY_AFTER_MAX_S)
        return error_set(run->err, STATUS_OVERLOADED,
                         "%s: %s, and asks to come back in %lld seconds", name, reason,
                         (long long)retry_after_s);
    uint32_t pause_ms = PAUSE_MS << (slot->attempts - 1);
    if (retry_after_s * 1000 > pause_ms) pause_ms = (uint32_t)retry_after_s * 1000;
    char message[2 * REASON_SIZE];
    snprintf(message, sizeof(message), "%s; trying again in %u s", reason, pause_ms / 1000);
    notice(slot, message);
    free(slot->url); /* what a redirect led to may have expired */
    slot->url = NULL;
    slot->redirects = 0;
    end_attempt(slot);
    slot->due_ns = clock_deadline(pause_ms);
    return STATUS_OK;
}

static enum status follow(struct slot *slot) {
    char *next = NULL, host[TRANSFER_HOST_SIZE];
    struct run *run = slot->run;
    const char *name = slot->transfer->name;
    curl_easy_getinfo(slot->easy, CURLINFO_REDIRECT_URL, &next);
    transfer_show_host(host, url_of(slot));
    if (!next || strlen(next) > URL_MAX)
        return error_set(run->err, STATUS_UNAVAILABLE, "%s: %s redirects to nowhere", name, host);
    if (++slot->redirects > REDIRECTS_MAX)
        return error_set(run->err, STATUS_UNAVAILABLE, "%s: more than %d redirects, the last by %s",
                         name, REDIRECTS_MAX, host);
    bool secure = !strncasecmp(url_of(slot), "https:", 6);
    if (strncasecmp(next, "https:", 6) != 0 && (secure || strncasecmp(next, "http:", 5) != 0))
        return error_set(run->err, STATUS_UNAVAILABLE,
                         "%s: %s redirects to an address that is not https", name, host);
    char *copy = strdup(next);
    if (!copy) return error_set(run->err, STATUS_NO_MEMORY, "out of memory for an address");
    free(slot->url);
    slot->url = copy;
    end_attempt(slot);
    return STATUS_OK; /* it waits, and is due */
}

/* Of a request for headers: an ETag is '"abc"' or 'W/"abc"'. */
static void read_headers(struct slot *slot) {
    struct transfer *transfer = slot->transfer;
    const char *linked = header_of(slot, "X-Linked-Etag"), *size = header_of(slot, "X-Linked-Size");
    const char *tag = linked ? linked : header_of(slot, "ETag");
    curl_off_t length = -1;
    transfer->digest[0] = 0;
    if (tag) {
        if (!strncmp(tag, "W/", 2)) tag += 2;
        if (*tag == '"') tag++;
        size_t digits = strcspn(tag, "\"");
        if (digits < sizeof(transfer->digest))
            snprintf(transfer->digest, sizeof(transfer->digest), "%.*s", (int)digits, tag);
    }
    curl_easy_getinfo(slot->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    char *end = NULL;
    unsigned long long number = size ? strtoull(size, &end, 10) : 0;
    if (size)
        length =
            *size >= '0' && *size <= '9' && !*end && number <= INT64_MAX ? (curl_off_t)number : -1;
    transfer->size = length;
}

static enum status finish(struct slot *slot) {
    const struct transfer *transfer = slot->transfer;
    const char *again = NULL;
    enum status status = STATUS_OK;
    if (!transfer->sink)
        read_headers(slot);
    else if (!slot->began) /* an empty body */
        status = begin_body(slot);
    if (!status && transfer->sink)
        status = transfer->sink->finish(transfer->context, &again, slot->run->err);
    if (!status && again) return try_again(slot, again, 0);
    end_attempt(slot);
    if (!status) slot->state = STATE_DONE;
    return status;
}

static enum status handle(struct slot *slot, CURLcode result) {
    char host[TRANSFER_HOST_SIZE], reason[REASON_SIZE];
    transfer_show_host(host, url_of(slot));
    if (slot->status) return slot->status; /* the sink's own */
    if (result) {
        const char *problem = slot->problem[0] ? slot->problem : curl_easy_strerror(result);
        if (transfer_is_passing((int)result)) {
            snprintf(reason, sizeof(reason), "%.50s: %.100s", host, problem);
            return try_again(slot, reason, 0);
        }
        return error_set(slot->run->err, STATUS_UNAVAILABLE, "%s: %s: %s", slot->transfer->name,
                         host, problem);
    }
    long code = code_of(slot);
    bool redirect = code >= 301 && code <= 308 && code != 304 && code != 305 && code != 306;
    if (redirect) {
        const char *next = NULL;
        curl_easy_getinfo(slot->easy, CURLINFO_REDIRECT_URL, &next);
        bool away = next && !transfer_same_origin(slot->run->settings->endpoint, next);
        return away && !slot->transfer->sink ? finish(slot) : follow(slot);
    }
    if (code == HTTP_OK || code == HTTP_PARTIAL) return finish(slot);
    /* Of a signed address that has expired. */
    if (code == 403 && !transfer_same_origin(slot->run->settings->endpoint, url_of(slot)))
        return try_again(slot, "the address has expired", 0);
    if (code == HTTP_RANGE && slot->from) {
        enum status status =
            slot->transfer->sink->begin(slot->transfer->context, 0, slot->run->err);
        return status ? status : try_again(slot, "there is no such part of the file", 0);
    }
    if (transfer_is_busy(code)) {
        curl_off_t retry_after_s = 0;
        curl_easy_getinfo(slot->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
        snprintf(reason, sizeof(reason), "%.100s answers with status %ld", host, code);
        return try_again(slot, reason, retry_after_s);
    }
    return transfer_refuse(slot->transfer->name, host, code, slot->run->settings, slot->run->err);
}

/* ---- all of them ---- */

static enum status start_due(struct run *run) {
    uint64_t now = clock_now_ns();
    enum status status = STATUS_OK;
    for (size_t i = 0; i < run->count && run->running < TRANSFER_PARALLEL && !status; i++) {
        struct slot *slot = &run->slots[i];
        if (slot->state == STATE_WAITING && slot->due_ns <= now) status = start(slot);
    }
    return status;
}

static enum status handle_messages(struct run *run) {
    enum status status = STATUS_OK;
    const CURLMsg *message;
    int left;
    while (!status && (message = curl_multi_info_read(run->multi, &left))) {
        struct slot *slot;
        if (message->msg != CURLMSG_DONE) continue;
        CURLcode result = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &slot);
        status = handle(slot, result);
    }
    return status;
}

static bool all_done(const struct run *run) {
    for (size_t i = 0; i < run->count; i++) {
        if (run->slots[i].state != STATE_DONE) return false;
    }
    return true;
}

static enum status work(struct run *run) {
    enum status status = STATUS_OK;
    while (!status && !all_done(run)) {
        int running;
        status = start_due(run);
        if (!status && curl_multi_perform(run->multi, &running))
            status = error_set(run->err, STATUS_INTERNAL, "libcurl cannot go on");
        if (!status) status = handle_messages(run);
        if (!status && !all_done(run)) curl_multi_poll(run->multi, NULL, 0, WAIT_MS, NULL);
        run->observer->tick(run->observer->context);
    }
    return status;
}

enum status transfers_run(struct transfer *transfers, size_t count,
                          const struct hub_settings *settings,
                          const struct transfer_observer *observer, struct error *err) {
    struct error local = ERROR_NONE;
    struct run run = {.settings = settings,
                      .observer = observer,
                      .multi = curl_multi_init(),
                      .slots = calloc(count + 1, sizeof(*run.slots)),
                      .count = count,
                      .err = err ? err : &local};
    enum status status = STATUS_OK;
    if (!run.multi || !run.slots) {
        status = error_set(run.err, STATUS_NO_MEMORY, "out of memory for transfers");
    } else {
        for (size_t i = 0; i < count; i++)
            run.slots[i] = (struct slot){.transfer = &transfers[i], .run = &run};
        status = work(&run);
        for (size_t i = 0; i < count; i++) {
            if (run.slots[i].easy) end_attempt(&run.slots[i]);
            free(run.slots[i].url);
        }
    }
    free(run.slots);
    curl_multi_cleanup(run.multi);
    return status;
}
