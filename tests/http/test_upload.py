"""Bodies that are handled while they come: whole, slow, refused, given up, drained."""

import json
import threading
import time
import unittest

from harness import FakeServer, read_until_closed
from test_stream import wait_for

MIB = 1 << 20
LINE = b"0123456789abcdef" * 64 + b"\n"
LINE_SUM = sum(LINE)


class Uploads(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = FakeServer(request_timeout_s=2, requests_max=4).__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def stat(self, name):
        return json.loads(self.server.get("/stats")[2])[name]

    def open(self, target, fields):
        sock = self.server.socket()
        sock.sendall(f"POST {target} HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n".encode())
        return sock

    def assert_idle(self):
        self.assertTrue(wait_for(lambda: self.stat("uploading") == 0))
        self.assertTrue(wait_for(lambda: self.stat("body_bytes") == 0))

    def test_whole(self):
        for count in (0, 1, 100, 30000):  # 30 MiB are more than a body may have
            status, _, body = self.server.request("POST", "/upload", LINE * count)
            self.assertEqual(status, 200)
            answer = json.loads(body)
            self.assertEqual((answer["bytes"], answer["sum"]), (count * len(LINE), count * LINE_SUM))
        self.assertGreater(answer["parts"], 4)
        self.assert_idle()

    def test_no_end_of_line(self):
        body = self.server.request("POST", "/upload", LINE * 9000 + b"tail")[2]
        self.assertEqual(json.loads(body)["bytes"], 9000 * len(LINE) + 4)

    def test_chunks(self):
        connection = self.server.connection()
        for count in (1, 20000, 20001, 7):
            chunks = [LINE * 100] * (count // 100) + [LINE] * (count % 100)
            connection.request("POST", f"/upload?pause_ms={count % 3}", iter(chunks))
            answer = json.loads(connection.getresponse().read())
            self.assertEqual((answer["bytes"], answer["sum"]), (count * len(LINE), count * LINE_SUM))
        connection.request("GET", "/ping")
        self.assertEqual(connection.getresponse().read(), b"pong\n")
        connection.close()

    def test_memory_is_bounded(self):
        worst = 0
        with self.open("/upload?pause_ms=20", f"Content-Length: {100 * MIB}") as sock:
            sender = threading.Thread(target=lambda: [sock.sendall(b"x" * 1023 + b"\n") for _ in range(100 * 1024)])
            sender.start()
            while sender.is_alive():
                worst = max(worst, self.stat("body_bytes"))
                time.sleep(0.01)
            answer = sock.recv(4096)
        self.assertIn(b" 200 ", answer)
        self.assertLess(worst, 17 * MIB)
        self.assertGreater(worst, 0)

    def test_refused_before_the_body(self):
        with self.open("/upload?refuse=1", f"Content-Length: {10**12}\r\nExpect: 100-continue") as sock:
            answer = read_until_closed(sock)
        self.assertTrue(answer.startswith(b"HTTP/1.1 404 "), answer)
        self.assert_idle()

    def test_expect(self):
        with self.open("/upload", f"Content-Length: {len(LINE)}\r\nExpect: 100-continue") as sock:
            self.assertTrue(sock.recv(100).startswith(b"HTTP/1.1 100 "))
            sock.sendall(LINE)
            self.assertIn(b" 200 ", sock.recv(4096))

    def test_answered_in_the_middle(self):
        status, _, body = self.server.request("POST", "/upload?stop=5000000", LINE * 30000)
        self.assertEqual(status, 200)
        self.assertLess(json.loads(body)["bytes"], 10 * MIB)
        self.assert_idle()

    def test_the_rest_takes_longer_than_the_time_out(self):
        with self.open("/upload?stop=1", f"Content-Length: {len(LINE) * 9000}") as sock:
            sock.sendall(LINE * 5000)
            for _ in range(40):
                sock.sendall(LINE * 100)
                time.sleep(0.1)
            self.assertIn(b" 200 ", sock.recv(4096))
        self.assert_idle()

    def test_a_line_without_end(self):
        self.assertEqual(self.server.request("POST", "/upload", b"x" * (9 * MIB))[0], 413)
        self.assert_idle()

    def test_the_client_leaves(self):
        unsent = self.stat("unsent")
        for size in (0, 1000, 5 * MIB):
            with self.open("/upload", f"Content-Length: {50 * MIB}") as sock:
                sock.sendall(b"x" * size)
                self.assertTrue(wait_for(lambda: self.stat("uploading") == 1))
            self.assert_idle()
        self.assertEqual(self.stat("unsent"), unsent + 3)
        self.assertEqual(self.stat("no_status"), 0)

    def test_the_client_is_slow(self):
        with self.open("/upload", f"Content-Length: {50 * MIB}") as sock:
            sock.sendall(LINE)
            self.assertEqual(read_until_closed(sock), b"")  # cut off after the time-out
        self.assert_idle()

    def test_the_client_is_slow_but_steady(self):
        """Longer than the time-out, at three times the rate that is asked for."""
        with self.open("/upload", f"Content-Length: {len(LINE) * 900}") as sock:
            for _ in range(30):
                sock.sendall(LINE * 30)
                time.sleep(0.15)
            self.assertIn(b" 200 ", sock.recv(4096))
        self.assert_idle()

    def test_a_limit_of_streams(self):
        """They are half of the requests at most, so that others are served."""
        socks = [self.open("/upload", f"Content-Length: {MIB}") for _ in range(2)]
        self.assertTrue(wait_for(lambda: self.stat("uploading") == 2))
        self.assertEqual(self.server.request("POST", "/upload", LINE)[0], 503)
        self.assertEqual(self.server.request("POST", "/echo", b"hello")[2], b"hello")
        for sock in socks:
            sock.close()
        self.assert_idle()
        self.assertEqual(self.server.request("POST", "/upload", LINE)[0], 200)

    def test_many_at_once(self):
        def send(count):
            while True:
                status, _, body = self.server.request("POST", "/upload", LINE * count)
                if status == 200:
                    break
                time.sleep(0.01)
            self.assertEqual(json.loads(body)["sum"], count * LINE_SUM)

        threads = [threading.Thread(target=send, args=(7000 + i,)) for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assert_idle()


class Stopping(unittest.TestCase):
    def test_drained(self):
        for drain_ms in (0, 20000):
            with FakeServer(drain_ms=drain_ms, requests_max=4) as server:
                sock = server.socket()
                sock.sendall(f"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: {9 * MIB}\r\n\r\n".encode())
                sock.sendall(b"x\n" * (3 * MIB))
                self.assertTrue(wait_for(lambda: json.loads(server.get("/stats")[2])["uploading"] == 1))
                stopper = threading.Thread(target=server.stop)
                stopper.start()
                time.sleep(0.2)
                try:
                    sock.sendall(b"y\n" * (3 * MIB // 2))
                    answer = read_until_closed(sock)
                except OSError:
                    answer = b""
                stopper.join()
                self.assertEqual(b" 200 " in answer, drain_ms > 0)
                sock.close()


if __name__ == "__main__":
    unittest.main()
