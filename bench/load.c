/* load.c - requests to a server on this machine, at a fixed rate or as fast as it answers.
 *
 *     build/release/bench/load [OPTION]... http://127.0.0.1:8080/embed/image FILE
 *
 * With --rate requests are due at fixed times, whether or not the server keeps up (open
 * loop), and latencies count from when a request was due: a server that stalls cannot hide
 * the requests that it kept from being sent. Without, each client sends its next request
 * when the last one is answered (closed loop). One thread, connections are kept alive.
 * Only to a loopback address, because it is a load. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sysexits.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "tests/support/photo.h"

enum {
    CLIENTS_MAX = 1024,
    REQUESTS_MAX = 10000000,
    SECONDS_MAX = 3600,
    HEAD_MAX = 8192,
    GRACE_S = 30, /* for answers that are still missing at the end */
    BODY_MAX = 256 << 20,
    EVENTS = 64,
    STATUS_MAX = 600,
};

static const char usage[] =
    "usage: load [OPTION]... http://127.0.0.1:PORT/PATH FILE\n\n"
    "FILE is the body of each request; photo:500x375 is a JPEG that is made up.\n\n"
    "  --rate R        requests a second are due, answered or not; else as many as are answered\n"
    "  --clients N     connections; 64 by default with --rate, else 1\n"
    "  --seconds S     10 by default\n"
    "  --requests N    at most so many, 100000 by default\n"
    "  --type TYPE     of the body, image/jpeg by default\n"
    "  --json          one JSON object instead of a table\n";

struct options {
    struct sockaddr_in address;
    const char *path, *file, *type;
    double rate, seconds; /* rate 0: closed loop */
    size_t clients, requests;
    bool json;
};

struct client {
    int fd; /* -1: not connected */
    bool busy, closes;
    uint64_t due_ns;
    size_t sent;
    char head[HEAD_MAX]; /* of the answer */
    size_t head_size;
    bool has_head;
    int status;
    size_t body_left;
};

struct load {
    struct options options;
    struct buffer request;
    int epoll, timer;
    struct client *clients; /* [clients] */
    struct client **idle;   /* [idle_count] */
    size_t idle_count;
    size_t started, finished, failed;
    size_t statuses[STATUS_MAX];
    double *latencies_ms; /* [ok], of answers with 2xx */
    size_t ok;
    uint64_t begin_ns, end_ns, last_ns;
};

static int fail(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    return EX_OSERR;
}

/* ---- one request ---- */

static void disconnect(struct client *client) {
    if (client->fd >= 0) close(client->fd);
    client->fd = -1;
}

static void finish(struct load *load, struct client *client, bool answered) {
    load->last_ns = clock_now_ns();
    load->finished++;
    if (!answered) load->failed++;
    if (answered) load->statuses[client->status]++;
    if (answered && client->status / 100 == 2)
        load->latencies_ms[load->ok++] = (double)(load->last_ns - client->due_ns) * 1e-6;
    if (!answered || client->closes) disconnect(client);
    client->busy = false;
    load->idle[load->idle_count++] = client;
}

/* Not blocking: what goes wrong shows when the request is sent. */
static bool open_connection(struct load *load, struct client *client) {
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (client->fd < 0) return false;
    const struct sockaddr *address = (const struct sockaddr *)&load->options.address;
    if (connect(client->fd, address, sizeof(load->options.address)) && errno != EINPROGRESS)
        return false;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = client};
    return epoll_ctl(load->epoll, EPOLL_CTL_ADD, client->fd, &event) == 0;
}

/* False when the connection is broken. */
static bool send_more(const struct load *load, struct client *client) {
    while (client->sent < load->request.size) {
        ssize_t sent = send(client->fd, load->request.data + client->sent,
                            load->request.size - client->sent, MSG_NOSIGNAL);
        if (sent < 0) return errno == EAGAIN || errno == ENOTCONN;
        client->sent += (size_t)sent;
    }
    return true;
}

static void start(struct load *load, uint64_t due_ns) {
    struct client *client = load->idle[--load->idle_count];
    load->started++;
    client->busy = true;
    client->due_ns = due_ns;
    client->sent = client->head_size = 0;
    client->has_head = client->closes = false;
    if (client->fd < 0 && !open_connection(load, client)) {
        finish(load, client, false);
        return;
    }
    if (!send_more(load, client)) finish(load, client, false);
}

/* Status and length, once the head is complete. False if this is no answer that we read. */
static bool read_head(struct client *client) {
    client->head[client->head_size] = '\0';
    char *end = strstr(client->head, "\r\n\r\n");
    if (!end) return client->head_size < HEAD_MAX - 1;
    const char *length = strcasestr(client->head, "\r\nContent-Length:");
    const char *closes = strcasestr(client->head, "\r\nConnection: close");
    if (sscanf(client->head, "HTTP/1.1 %d", &client->status) != 1) return false;
    if (client->status < 100 || client->status >= STATUS_MAX || !length || length > end)
        return false;
    client->has_head = true;
    client->closes = closes && closes < end;
    client->body_left = strtoul(length + strlen("\r\nContent-Length:"), NULL, 10);
    size_t arrived = client->head_size - (size_t)(end + 4 - client->head);
    if (arrived > client->body_left) return false;
    client->body_left -= arrived;
    return true;
}

/* Reads what is there. */
static void receive(struct load *load, struct client *client) {
    static char sink[1 << 16];
    while (client->fd >= 0) {
        bool head = client->busy && !client->has_head;
        char *to = head ? client->head + client->head_size : sink;
        ssize_t got =
            recv(client->fd, to, head ? HEAD_MAX - 1 - client->head_size : sizeof(sink), 0);
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0 || !client->busy) { /* an idle connection may be closed */
            if (client->busy) finish(load, client, false);
            disconnect(client);
            return;
        }
        bool good = true;
        if (head) {
            client->head_size += (size_t)got;
            good = read_head(client);
        } else {
            good = (size_t)got <= client->body_left;
            client->body_left -= good ? (size_t)got : 0;
        }
        if (!good || (client->has_head && client->body_left == 0)) finish(load, client, good);
    }
}

/* ---- all requests ---- */

static uint64_t due_time(const struct load *load, size_t index) {
    return load->begin_ns + (uint64_t)((double)index / load->options.rate * CLOCK_NS_PER_S);
}

/* Starts what is due; past the end there is nothing more to start. */
static void start_due(struct load *load) {
    bool open = load->options.rate > 0;
    while (load->started < load->options.requests) {
        uint64_t now = clock_now_ns(), due = open ? due_time(load, load->started) : now;
        if (due >= load->end_ns) load->options.requests = load->started;
        if (due > now || due >= load->end_ns || !load->idle_count) return;
        start(load, due);
    }
}

static void arm_timer(const struct load *load) {
    if (load->options.rate <= 0 || load->started >= load->options.requests) return;
    uint64_t due = due_time(load, load->started);
    struct itimerspec when = {.it_value = {.tv_sec = (time_t)(due / CLOCK_NS_PER_S),
                                           .tv_nsec = (long)(due % CLOCK_NS_PER_S)}};
    timerfd_settime(load->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static int run(struct load *load) {
    struct epoll_event events[EVENTS];
    load->begin_ns = load->last_ns = clock_now_ns();
    load->end_ns = load->begin_ns + (uint64_t)(load->options.seconds * CLOCK_NS_PER_S);
    uint64_t stop_ns = load->end_ns + (uint64_t)GRACE_S * CLOCK_NS_PER_S;
    for (;;) {
        start_due(load);
        if (load->finished == load->options.requests || clock_now_ns() > stop_ns) return EX_OK;
        arm_timer(load);
        int count = epoll_wait(load->epoll, events, EVENTS, 100);
        if (count < 0 && errno != EINTR) return fail("epoll_wait");
        for (int i = 0; i < count; i++) {
            struct client *client = events[i].data.ptr;
            if (!client || client->fd < 0) continue; /* the timer, or closed just now */
            if (client->busy && !send_more(load, client)) finish(load, client, false);
            receive(load, client);
        }
    }
}

/* `body` is initialised either way. */
static enum status read_body(struct buffer *body, const char *file, struct error *err) {
    uint32_t width, height;
    if (sscanf(file, "photo:%4ux%4u", &width, &height) == 2 && width && height) {
        *body = photo_make(width, height);
        return STATUS_OK;
    }
    buffer_init(body, BODY_MAX);
    return file_read(body, file, err);
}

static int prepare(struct load *load) {
    struct buffer body;
    struct error err = ERROR_NONE;
    const struct options *options = &load->options;
    buffer_init(&load->request, (size_t)BODY_MAX + HEAD_MAX);
    enum status status = read_body(&body, options->file, &err);
    if (!status)
        status = buffer_printf(&load->request, &err,
                               "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\n"
                               "Content-Length: %zu\r\n\r\n",
                               options->path, options->type, body.size);
    if (!status) status = buffer_append(&load->request, body.data, body.size, &err);
    buffer_free(&body);
    if (status) {
        fprintf(stderr, "load: %s\n", err.message);
        return status == STATUS_NO_MEMORY ? EX_OSERR : EX_NOINPUT;
    }
    load->clients = calloc(options->clients, sizeof(*load->clients));
    load->idle = calloc(options->clients, sizeof(struct client *));
    load->latencies_ms = calloc(options->requests, sizeof(double));
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    load->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    if (!load->clients || !load->idle || !load->latencies_ms || load->epoll < 0 ||
        load->timer < 0 || epoll_ctl(load->epoll, EPOLL_CTL_ADD, load->timer, &event)) {
        free(load->clients); /* whose descriptors mean nothing yet */
        load->clients = NULL;
        return fail("cannot start");
    }
    for (size_t i = 0; i < options->clients; i++) {
        load->clients[i].fd = -1;
        load->idle[load->idle_count++] = &load->clients[i];
    }
    return EX_OK;
}

static void release(struct load *load) {
    for (size_t i = 0; load->clients && i < load->options.clients; i++)
        disconnect(&load->clients[i]);
    buffer_free(&load->request);
    free(load->clients);
    free(load->idle);
    free(load->latencies_ms);
}

/* ---- the result ---- */

static int compare_doubles(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Nearest rank; the latencies are sorted. */
static double percentile(const struct load *load, double share) {
    size_t rank = (size_t)ceil(share * (double)load->ok);
    return load->ok ? load->latencies_ms[rank ? rank - 1 : 0] : 0;
}

static void print_result(struct load *load) {
    const struct options *options = &load->options;
    bool json = options->json;
    double seconds = (double)(load->last_ns - load->begin_ns) * 1e-9;
    double rate = seconds > 0 ? (double)load->ok / seconds : 0;
    qsort(load->latencies_ms, load->ok, sizeof(double), compare_doubles);
    printf(json ? "{\"path\": \"%s\", \"rate\": %g, \"clients\": %zu, \"seconds\": %.3f, "
                  "\"requests\": %zu, \"ok\": %zu, \"failed\": %zu, \"unanswered\": %zu, "
                  "\"requests_per_second\": %.3f, \"p50_ms\": %.3f, \"p90_ms\": %.3f, "
                  "\"p99_ms\": %.3f, \"max_ms\": %.3f, \"statuses\": {"
                : "%s, due %g/s, %zu clients, %.3f s\n"
                  "requests %zu, ok %zu, failed %zu, unanswered %zu\n"
                  "%.2f answers/s; p50 %.2f ms, p90 %.2f ms, p99 %.2f ms, max %.2f ms\n",
           options->path, options->rate, options->clients, seconds, load->started, load->ok,
           load->failed, load->started - load->finished, rate, percentile(load, 0.5),
           percentile(load, 0.9), percentile(load, 0.99), percentile(load, 1));
    const char *comma = "";
    for (int i = 0; i < STATUS_MAX; i++) {
        if (!load->statuses[i]) continue;
        printf(json ? "%s\"%d\": %zu" : "%sstatus %d: %zu\n", comma, i, load->statuses[i]);
        if (json) comma = ", ";
    }
    if (json) puts("}}");
}

/* ---- options ---- */

/* "http://127.0.0.1:8080/path"; only loopback. */
static bool read_url(struct options *options, char *url) {
    char host[64];
    unsigned port;
    int size = 0;
    if (sscanf(url, "http://%63[^:/]:%5u%n", host, &port, &size) != 2) return false;
    if (port == 0 || port > UINT16_MAX || url[size] != '/' || strpbrk(url, " \"\\\r\n"))
        return false;
    options->path = url + size;
    options->address.sin_family = AF_INET;
    options->address.sin_port = htons((uint16_t)port);
    const char *address = strcmp(host, "localhost") ? host : "127.0.0.1";
    if (inet_pton(AF_INET, address, &options->address.sin_addr) != 1) return false;
    return ntohl(options->address.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

/* False unless it is a number above 0, at most max. */
static bool read_number(double *out, const char *text, double max) {
    char *end;
    *out = strtod(text, &end);
    return end != text && !*end && *out > 0 && *out <= max;
}

static bool read_options(struct options *options, int argc, char **argv) {
    static const struct option names[] = {
        {"rate", required_argument, NULL, 'r'},
        {"clients", required_argument, NULL, 'c'},
        {"seconds", required_argument, NULL, 's'},
        {"type", required_argument, NULL, 't'},
        {"requests", required_argument, NULL, 'n'},
        {"json", no_argument, NULL, 'j'},
        {NULL, 0, NULL, 0},
    };
    double clients = 0, requests = 100000;
    int option;
    *options = (struct options){.type = "image/jpeg", .seconds = 10};
    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        bool good = true;
        switch (option) {
        case 'r': good = read_number(&options->rate, optarg, 1e6); break;
        case 'c': good = read_number(&clients, optarg, CLIENTS_MAX); break;
        case 's': good = read_number(&options->seconds, optarg, SECONDS_MAX); break;
        case 'n': good = read_number(&requests, optarg, REQUESTS_MAX); break;
        case 't': options->type = optarg; break;
        case 'j': options->json = true; break;
        default: good = false;
        }
        if (!good) return false;
    }
    if (clients < 1) clients = options->rate > 0 ? 64 : 1;
    options->clients = (size_t)clients;
    options->requests = (size_t)ceil(requests);
    if (argc - optind != 2) return false;
    options->file = argv[optind + 1];
    return read_url(options, argv[optind]);
}

int main(int argc, char **argv) {
    struct load load = {0};
    if (!read_options(&load.options, argc, argv)) {
        fputs(usage, stderr);
        return EX_USAGE;
    }
    int code = prepare(&load);
    if (code == EX_OK) code = run(&load);
    if (code == EX_OK) {
        print_result(&load);
        code = load.ok == load.started ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    release(&load);
    return code;
}
