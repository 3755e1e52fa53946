/* What the ends of a real connection show: of a client that stays, says that it has no more to
 * send, closes, or resets. */
#include "server/presence.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/program.h"

static int client, server;

static void setup(void) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    client = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(client, (struct sockaddr *)&address, size), 0);
    server = accept(listener, NULL, NULL);
    ck_assert_int_ge(server, 0);
    close(listener);
}

static void teardown(void) {
    if (client >= 0) close(client);
    close(server);
}

static void wait_for_server(short events) {
    struct pollfd polled = {.fd = server, .events = events};
    ck_assert_int_eq(poll(&polled, 1, 60000), 1);
}

static void close_client(bool reset) {
    struct linger linger = {.l_onoff = reset};
    ck_assert_int_eq(setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    close(client);
    client = -1;
    wait_for_server(POLLRDHUP);
}

START_TEST(a_client_that_waits_is_there) {
    struct presence presence = {.takes_interim = true};
    char byte;
    ck_assert_int_eq(write(client, "next", 4), 4);
    wait_for_server(POLLIN);
    ck_assert(!presence_has_left(&presence, server));
    ck_assert(!presence.asked);
    ck_assert_int_eq(recv(client, &byte, 1, MSG_DONTWAIT), -1);
}
END_TEST

START_TEST(one_that_only_says_that_nothing_follows_is_asked_once) {
    struct presence presence = {.takes_interim = true};
    char answer[100];
    shutdown(client, SHUT_WR);
    wait_for_server(POLLRDHUP);
    for (int i = 0; i < 10; i++) ck_assert(!presence_has_left(&presence, server));
    ck_assert(presence.asked);
    ck_assert_int_eq(write(server, "HTTP/1.1 200 ", 13), 13);
    ck_assert_int_eq(recv(client, answer, 38, MSG_WAITALL), 38);
    ck_assert_int_eq(memcmp(answer, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ", 38), 0);
}
END_TEST

START_TEST(one_that_closed_is_found_out_by_asking) {
    struct presence presence = {.takes_interim = true};
    close_client(false);
    ck_assert(!presence_has_left(&presence, server));
    wait_for_server(0); /* an error needs not be waited for by name */
    ck_assert(presence_has_left(&presence, server));
}
END_TEST

START_TEST(an_old_client_that_closed_is_not_asked) {
    struct presence presence = {.takes_interim = false};
    close_client(false);
    for (int i = 0; i < 10; i++) ck_assert(!presence_has_left(&presence, server));
    ck_assert(!presence.asked);
}
END_TEST

START_TEST(one_that_resets_has_left) {
    struct presence presence = {.takes_interim = _i};
    close_client(true);
    ck_assert(presence_has_left(&presence, server));
    ck_assert(!presence.asked);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("presence");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 0);
    tcase_add_test(tests, a_client_that_waits_is_there);
    tcase_add_test(tests, one_that_only_says_that_nothing_follows_is_asked_once);
    tcase_add_test(tests, one_that_closed_is_found_out_by_asking);
    tcase_add_test(tests, an_old_client_that_closed_is_not_asked);
    tcase_add_loop_test(tests, one_that_resets_has_left, 0, 2);
    return program_run("presence", tests, CK_NOFORK);
}
