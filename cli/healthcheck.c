/* clipd healthcheck: GET /readyz of the server that this configuration would start, so
 * that a container image needs no HTTP client for its HEALTHCHECK. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/console.h"
#include "cli/session.h"

enum { TIMEOUT_S_DEFAULT = 3, TIMEOUT_S_MAX = 3600, FLAG_SIZE = 128 };

static const char usage[] =
    "usage: clipd healthcheck [OPTION]...\n\n"
    "Asks a running server for GET /readyz. Exits 0 when it is ready, else 1.\n\n"
    "  --listen ADDR:PORT  where it listens; else as 'clipd serve' would find it, in\n"
    "                      $CLIPD_SERVER_LISTEN, $PORT and the configuration file\n"
    "  --config FILE       configuration ($CLIPD_CONFIG)\n"
    "  --timeout SECONDS   3 by default\n"
    "  --help              print this\n";

/* Who asks in the wrong place is to see where. */
static int not_ready(const struct sockaddr_storage *asked, const char *what, const char *why) {
    char host[INET6_ADDRSTRLEN] = "", text[INET6_ADDRSTRLEN + 16];
    if (asked->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)asked;
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
        snprintf(text, sizeof(text), "[%s]:%u", host, ntohs(in6->sin6_port));
    } else {
        const struct sockaddr_in *in = (const struct sockaddr_in *)asked;
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
        snprintf(text, sizeof(text), "%s:%u", host, ntohs(in->sin_port));
    }
    fprintf(stderr, "clipd: %s: %s: %s\n", text, what, why);
    return EXIT_FAILURE;
}

/* The address to call for one to listen on: of "any", the loopback one. */
static socklen_t make_address(struct sockaddr_storage *out, const struct http_server_options *at) {
    memset(out, 0, sizeof(*out));
    struct sockaddr_in *in = (struct sockaddr_in *)out;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
    if (inet_pton(AF_INET, at->address, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons(at->port);
        if (in->sin_addr.s_addr == htonl(INADDR_ANY)) in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return sizeof(*in);
    }
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(at->port);
    inet_pton(AF_INET6, at->address, &in6->sin6_addr);
    if (IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr)) in6->sin6_addr = in6addr_loopback;
    return sizeof(*in6);
}

static int ask(int fd, const struct sockaddr_storage *address, socklen_t size) {
    static const char request[] =
        "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    static const char ready[] = "HTTP/1.1 200 ";
    if (connect(fd, (const struct sockaddr *)address, size))
        return not_ready(address, "cannot connect", strerror(errno));
    if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) != sizeof(request) - 1)
        return not_ready(address, "cannot ask", strerror(errno));
    char answer[256];
    size_t got = 0;
    while (got < sizeof(answer) - 1 && !memchr(answer, '\n', got)) {
        ssize_t more = recv(fd, answer + got, sizeof(answer) - 1 - got, 0);
        if (more < 0) return not_ready(address, "no answer", strerror(errno));
        if (more == 0) break;
        got += (size_t)more;
    }
    answer[got] = '\0';
    answer[strcspn(answer, "\r\n")] = '\0';
    return strncmp(answer, ready, sizeof(ready) - 1) != 0 ? not_ready(address, "not ready", answer)
                                                          : EXIT_SUCCESS;
}

static int check(const struct http_server_options *at, unsigned timeout_s) {
    struct sockaddr_storage address;
    socklen_t size = make_address(&address, at);
    struct timeval timeout = {.tv_sec = timeout_s};
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return not_ready(&address, "cannot connect", strerror(errno));
    /* On Linux the send timeout bounds connect(), too. */
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    int code = ask(fd, &address, size);
    close(fd);
    return code;
}

int healthcheck_command(int argc, char **argv) {
    static const struct option options[] = {
        {"listen", required_argument, NULL, 'l'},
        {"config", required_argument, NULL, 'c'},
        {"timeout", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *path = NULL;
    char listen[FLAG_SIZE];
    const char *flags[] = {NULL, NULL};
    unsigned long timeout_s = TIMEOUT_S_DEFAULT;
    char *end;
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 'l':
            snprintf(listen, sizeof(listen), "server.listen=%s", optarg);
            flags[0] = listen;
            break;
        case 'c': path = optarg; break;
        case 't':
            timeout_s = strtoul(optarg, &end, 10);
            if (*end || timeout_s < 1 || timeout_s > TIMEOUT_S_MAX)
                return console_usage("healthcheck",
                                     "--timeout: found '%s', expected 1 to %d seconds", optarg,
                                     TIMEOUT_S_MAX);
            break;
        case 'h': fputs(usage, stdout); return EX_OK;
        default: return console_usage_hint("healthcheck");
        }
    }
    if (optind < argc)
        return console_usage("healthcheck", "found '%s', expected options only", argv[optind]);
    struct config config;
    int code = session_load_config(&config, path, flags);
    if (code != EX_OK) return code;
    code = check(&config.server, (unsigned)timeout_s);
    config_free(&config);
    return code;
}
