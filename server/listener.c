/* listener.c - see listener.h. Addresses are numeric only: a server that resolves a
 * name to find out where to listen depends on the network before it is up. */
#include "server/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The kernel cuts this to net.core.somaxconn. */
enum { BACKLOG = 1024 };

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static enum status parse(union address *out, socklen_t *size, const char *address, uint16_t port,
                         struct error *err) {
    memset(out, 0, sizeof(*out));
    if (inet_pton(AF_INET, address, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(port);
        *size = sizeof(out->v4);
        return STATUS_OK;
    }
    if (inet_pton(AF_INET6, address, &out->v6.sin6_addr) == 1) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons(port);
        *size = sizeof(out->v6);
        return STATUS_OK;
    }
    return error_set(err, STATUS_INVALID,
                     "cannot listen on \"%s\": expected a numeric IPv4 or IPv6 address", address);
}

enum status listener_open(int *out, const char *address, uint16_t port, struct error *err) {
    union address where;
    socklen_t size = 0;
    enum status status = parse(&where, &size, address, port, err);
    if (status != STATUS_OK) return status;

    char shown[INET6_ADDRSTRLEN + 16];
    snprintf(shown, sizeof(shown), where.any.sa_family == AF_INET6 ? "[%s]:%u" : "%s:%u", address,
             port);
    int yes = 1;
    int fd = socket(where.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return error_set_errno(err, STATUS_IO, "listen on", shown);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (bind(fd, &where.any, size) || listen(fd, BACKLOG)) {
        status = errno == EADDRINUSE ? STATUS_UNAVAILABLE : error_errno_status();
        error_set_errno(err, status, "listen on", shown);
        close(fd);
        return status;
    }
    *out = fd;
    return STATUS_OK;
}

uint16_t listener_port(int listener) {
    union address where = {0};
    socklen_t size = sizeof(where);
    if (getsockname(listener, &where.any, &size)) return 0;
    return ntohs(where.any.sa_family == AF_INET6 ? where.v6.sin6_port : where.v4.sin_port);
}

void listener_ignore_new(int listener) {
    /* The filter of a TCP listener sees each segment from its TCP header on. */
    enum { FLAGS_OFFSET = 13, FLAG_SYN = 0x02 };
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FLAGS_OFFSET),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, FLAG_SYN, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    struct sock_fprog program = {sizeof(steps) / sizeof(steps[0]), steps};
    /* Where that is not allowed, clients of the last microseconds are reset. */
    setsockopt(listener, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}
