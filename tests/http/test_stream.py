"""Answers that are made while they are sent: whole, cut off, slow, given up, drained."""

import json
import socket
import struct
import threading
import time
import unittest

from harness import FakeServer, read_until_closed

SLACK_S = 5


def lines(count):
    return b"".join(b"line %d of a long answer\n" % i for i in range(count))


def wait_for(condition, seconds=SLACK_S):
    """Once is enough: to ask again may be answered otherwise."""
    deadline = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


class Streams(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = FakeServer(request_timeout_s=2, requests_max=4).__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def producing(self):
        return json.loads(self.server.get("/stats")[2])["producing"]

    def open(self, target, version="1.1", **options):
        sock = self.server.socket(**options)
        sock.sendall(f"GET {target} HTTP/{version}\r\nHost: x\r\n\r\n".encode())
        return sock

    def test_whole(self):
        for count in (0, 1, 1000, 300000):
            status, headers, body = self.server.get(f"/stream?lines={count}")
            self.assertEqual((status, headers["Transfer-Encoding"]), (200, "chunked"))
            self.assertEqual(body, lines(count))
        with self.open("/stream?lines=1000", "1.0") as sock:
            self.assertTrue(read_until_closed(sock).endswith(b"\r\n\r\n" + lines(1000)))

    def test_the_connection_is_kept(self):
        connection = self.server.connection()
        for count in (3, 30000, 2):
            connection.request("GET", f"/stream?lines={count}&pause_ms={5 if count < 9 else 0}")
            self.assertEqual(connection.getresponse().read(), lines(count))
        connection.request("GET", "/ping")
        self.assertEqual(connection.getresponse().read(), b"pong\n")
        connection.close()

    def test_head(self):
        connection = self.server.connection()
        for _ in range(20):
            connection.request("HEAD", "/stream?lines=3")
            response = connection.getresponse()
            self.assertEqual((response.status, response.getheader("Connection"), response.read()),
                             (200, "close", b""))
        connection.close()
        with self.server.socket() as sock:
            sock.sendall(b"HEAD /stream?lines=3 HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = read_until_closed(sock)
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 "), answer)
        self.assertTrue(answer.endswith(b"\r\n\r\n"), answer)
        self.assertEqual(answer.count(b"\r\n\r\n"), 1, answer)  # and no last chunk
        self.assertNotIn(b"Content-Length", answer)
        self.assertEqual(self.producing(), 0)

    def test_lines_come_when_they_are_made(self):
        with self.open("/stream?lines=3&pause_ms=300") as sock:
            data, started = b"", time.monotonic()
            while b"line 0" not in data:
                data += sock.recv(4096)
            self.assertLess(time.monotonic() - started, 0.8)

    def test_a_failure_cuts_it_off(self):
        with self.open("/stream?lines=10&fail=1") as sock:
            data = read_until_closed(sock)
        self.assertIn(b"line 9", data)
        self.assertFalse(data.endswith(b"0\r\n\r\n"))
        self.assertIn("the answer was cut off: as it was asked to", self.server.log())

    def test_a_client_that_leaves_ends_it(self):
        with self.open("/stream?lines=100000000") as sock:
            sock.recv(1000)
            self.assertEqual(self.producing(), 1)
        self.assertTrue(wait_for(lambda: self.producing() == 0))
        with self.open("/stream?lines=100000&pause_ms=5") as sock:
            sock.recv(1000)
        self.assertTrue(wait_for(lambda: self.producing() == 0))

    def test_a_client_that_leaves_is_seen_though_nothing_is_sent(self):
        """Before the answer begins by either way to leave, in it by a reset."""
        for count, resets in ((1, True), (1, False), (2, True)):
            with self.subTest(count=count, resets=resets):
                with self.open(f"/stream?lines={count}&last_ms=60000") as sock:
                    if count > 1:
                        data = b""
                        while b"line 0" not in data:
                            data += sock.recv(4096)
                    self.assertTrue(wait_for(lambda: self.producing() == 1))
                    if resets:
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.assertTrue(wait_for(lambda: self.producing() == 0))

    def test_a_client_that_does_not_read_is_cut_off(self):
        with self.open("/stream?lines=100000000") as sock:
            self.assertTrue(wait_for(lambda: self.producing() == 1))
            self.assertTrue(wait_for(lambda: self.producing() == 0, 4 + SLACK_S))
            self.assertEqual(self.server.get("/ping")[0], 200)
            sock.shutdown(socket.SHUT_WR)

    def test_a_slow_maker_is_waited_for(self):
        body = self.server.get("/stream?lines=3&pause_ms=1200")[2]
        self.assertEqual(body, lines(3))

    def test_streams_hold_half_of_all_requests(self):
        """Those that are read and those that are written together."""
        socks = [self.open("/stream?lines=100000000") for _ in range(2)]
        self.assertTrue(wait_for(lambda: self.producing() == 2))
        self.assertEqual(self.server.get("/stream?lines=1")[0], 503)
        self.assertEqual(self.server.post("/upload", b"a")[0], 503)
        self.assertEqual(self.server.get("/sleep?ms=0")[0], 200)
        socks.pop().close()
        self.assertTrue(wait_for(lambda: self.server.post("/upload", b"a")[0] == 200))
        self.assertTrue(wait_for(lambda: self.server.get("/stream?lines=1")[0] == 200))
        socks.pop().close()
        self.assertTrue(wait_for(lambda: self.producing() == 0))

    def test_it_counts_as_a_request_until_it_is_made(self):
        with FakeServer(requests_max=1) as server, server.socket() as sock:
            sock.sendall(b"GET /stream?lines=100000000 HTTP/1.1\r\nHost: x\r\n\r\n")
            sock.recv(1000)
            self.assertEqual(server.get("/sleep?ms=0")[0], 503)
            sock.close()
            self.assertTrue(wait_for(lambda: server.get("/sleep?ms=0")[0] == 200))

    def test_an_encoded_slash_is_none(self):
        self.assertEqual(self.server.get("/path%2fof/it?x=1")[0], 200)
        self.assertEqual(self.server.get("/path/of/it")[0], 404)


class Memory(unittest.TestCase):
    def test_it_is_bounded(self):
        """Of those that are made and not taken yet, too."""
        with FakeServer(memory_max=1 << 20, request_timeout_s=60) as server:
            unread = []
            for _ in range(4):
                unread.append(server.socket())
                unread[-1].sendall(b"GET /stream?lines=1000000 HTTP/1.1\r\nHost: x\r\n\r\n")
                self.assertTrue(unread[-1].recv(100).startswith(b"HTTP/1.1 200"))
            self.assertEqual(server.get("/stream?lines=1")[0], 503)
            self.assertEqual(server.request("HEAD", "/stream?lines=1")[0], 200)
            for sock in unread:
                sock.close()
            self.assertTrue(wait_for(lambda: server.get("/stream?lines=1")[0] == 200))
            self.assertTrue(wait_for(lambda: json.loads(server.get("/stats")[2])["answer_bytes"] == 0))


class Drains(unittest.TestCase):
    def test_a_stream_is_finished(self):
        with FakeServer() as server:
            found = []
            client = threading.Thread(
                target=lambda: found.append(server.get("/stream?lines=5&pause_ms=200")[2]))
            client.start()
            time.sleep(0.3)
            self.assertEqual(server.stop(), 0)
            client.join()
            self.assertEqual(found, [lines(5)])

    def test_an_endless_one_is_not(self):
        for target in ("/stream?lines=100000000", "/stream?lines=100000000&pause_ms=10"):
            with FakeServer(drain_ms=300) as server, server.socket() as sock:
                sock.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                sock.recv(1000)
                started = time.monotonic()
                self.assertEqual(server.stop(), 0)
                self.assertLess(time.monotonic() - started, 0.3 + SLACK_S)


if __name__ == "__main__":
    unittest.main(verbosity=1)
