#include "server/presence.h"

#include <poll.h>
#include <sys/socket.h>

static const char question[] = "HTTP/1.1 100 Continue\r\n\r\n";

/* False when the socket took a part of it: nothing sensible can follow that. */
static bool ask(struct presence *presence, int fd) {
    ssize_t size = sizeof(question) - 1;
    ssize_t sent = send(fd, question, sizeof(question) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    presence->asked = sent > 0;
    return sent <= 0 || sent == size;
}

bool presence_has_left(struct presence *presence, int fd) {
    struct pollfd polled = {.fd = fd, .events = POLLRDHUP};
    if (poll(&polled, 1, 0) <= 0) return false;
    if (polled.revents & (POLLERR | POLLHUP)) return true;
    if (!presence->takes_interim || presence->asked || ask(presence, fd)) return false;
    shutdown(fd, SHUT_RDWR);
    return true;
}
