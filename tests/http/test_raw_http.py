"""Requests byte by byte: framing, smuggling, limits, forms, keep-alive and pipelining,
against server/ alone (the fake api). The corpora of ../shared go through clipd, too."""

import json
import os
import socket
import time
import unittest
import zlib
from concurrent.futures import ThreadPoolExecutor

from harness import SHARED, FakeServer, Server, multipart, read_until_closed

CORPUS = os.path.join(SHARED, "corpora", "http-raw")
TIMEOUT_S = 2  # request_timeout_s of the servers here

# What EXPECTED.tsv says in words: the statuses that hold it, None for "closed without an
# answer". 01 is well framed; its body is no JSON.
EXPECTED = {
    "01": {200, 400, 404, 405}, "02": {400}, "03": {400}, "04": {400}, "05": {400},
    "06": {400}, "07": {400}, "08": {400, 413}, "09": {400, 501}, "10": {400, 501},
    "11": {400}, "12": {400}, "13": {400}, "14": {400}, "15": {400}, "16": {400, 413},
    # "400 preferred": libmicrohttpd can do nothing with a chunk line over its buffer; the
    # deadline ends it.
    "17": {400, None}, "18": {400}, "19": {400}, "20": {400}, "21": {400, 404},
    "22": {400, 505}, "23": {505}, "24": {431}, "25": {431}, "26": {414}, "27": {None},
    "28": {400, 404}, "29": {400, 404}, "30": {400, 404}, "40": {400}, "41": {400},
    "42": {400}, "43": {400}, "44": {400}, "45": {400}, "46": {400, 413}, "47": {415, 422},
    "48": {400}, "49": {400, 415, 422},
}
MUST_CLOSE = {"02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12", "15", "16"}


def status_of(answer):
    if not answer:
        return None
    return int(answer.split(b" ", 2)[1])


def split_answers(data):
    """Answers with a Content-Length, one behind the other: [(status, headers, body)]."""
    answers = []
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, v in (l.split(":", 1) for l in lines[1:])}
        size = int(headers.get("content-length", 0))
        answers.append((int(lines[0].split(" ")[1]), headers, data[:size]))
        data = data[size:]
    return answers


def send(server, data, timeout=TIMEOUT_S + 5):
    """What comes back until the server closes, which an idle time-out also does."""
    with server.socket(timeout) as sock:
        try:
            sock.sendall(data)
        except ConnectionError:
            pass
        return read_until_closed(sock)


class Corpus:
    """What ../shared has collected. A part of the fuzz corpora, chosen by name; all of
    them with CLIPD_TEST_ALL=1."""

    server = None

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def files(self, kind):
        share = 1 if os.environ.get("CLIPD_TEST_ALL") else 10
        folder = os.path.join(SHARED, "corpora", "gofuzz", kind)
        for name in sorted(os.listdir(folder)):
            if zlib.crc32(name.encode()) % share == 0:
                with open(os.path.join(folder, name), "rb") as file:
                    yield name, file.read()

    def test_expected(self):
        if not os.path.isdir(CORPUS):
            print("skipped: no ../shared")
            return
        names = sorted(n for n in os.listdir(CORPUS) if n.endswith(".req"))
        self.assertEqual(len(names), 40)

        def check(name):
            with open(os.path.join(CORPUS, name), "rb") as file:
                request = file.read()
            start = time.monotonic()
            answer = send(self.server, request)
            took = time.monotonic() - start
            closed = took < 1 or name[:2] not in MUST_CLOSE
            # A second answer would be to what was smuggled.
            served = b"/smug" in request and answer.count(b"HTTP/1.1 ") > 1
            good = closed and not served and status_of(answer) in EXPECTED[name[:2]]
            if name.startswith("01"):
                good = good and took >= 1  # the connection was kept
            return None if good else (name, answer[:100], round(took, 1))
        with ThreadPoolExecutor(8) as pool:
            self.assertEqual([wrong for wrong in pool.map(check, names) if wrong], [])
        self.assertTrue(self.server.alive())

    def test_fuzz(self):
        if not os.path.isdir(CORPUS):
            print("skipped: no ../shared")
            return
        form = "multipart/form-data; boundary=dfhjksd23f43242f43fv4b4g2g2g23vf2"
        for name, data in self.files("multipart"):
            status = self.server.post("/embed/image", data, form)[0]
            self.assertIn(status, (200, 400, 413, 415, 422), name)

        def check(item):
            start = time.monotonic()
            send(self.server, item[1])
            self.assertLess(time.monotonic() - start, 2 * TIMEOUT_S + 2, item[0])
        with ThreadPoolExecutor(32) as pool:
            list(pool.map(check, self.files("httpreq")))
        self.assertTrue(self.server.alive())


class CorpusOnFake(Corpus, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = FakeServer(request_timeout_s=TIMEOUT_S, idle_timeout_s=TIMEOUT_S).__enter__()


class CorpusOnClipd(Corpus, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("models/starter", [
            "--set", f"server.request_timeout={TIMEOUT_S}s",
            "--set", f"server.idle_timeout={TIMEOUT_S}s"]).__enter__()
        while cls.server.get("/readyz")[0] != 200:
            time.sleep(0.05)


class RawHttp(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = FakeServer(request_timeout_s=TIMEOUT_S, idle_timeout_s=TIMEOUT_S)
        cls.server.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def stats(self):
        return json.loads(self.server.get("/stats")[2])

    def send(self, data):
        return send(self.server, data)

    def check_refused(self, data, status=400):
        """Refused, closed at once, and what follows never served."""
        before = self.stats()
        start = time.monotonic()
        answer = self.send(data + b"GET /smug HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(status_of(answer), status, answer)
        self.assertLess(time.monotonic() - start, 1)
        self.assertEqual(len(split_answers(answer)), 1)
        self.assertIn("x-request-id", split_answers(answer)[0][1])
        self.assertEqual(self.stats()["smuggled"], before["smuggled"])

    # --- framing ---

    def test_ambiguous_framing(self):
        head = b"POST /echo HTTP/1.1\r\nHost: x\r\n"
        for fields in (
                b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
                b"Content-Length: 5\r\ncontent-length: 44\r\n\r\nhello",
                b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
                b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
                b"Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
                b"Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
                b"Content-Length : 5\r\n\r\nhello",
                b"X y: 1\r\nContent-Length: 5\r\n\r\nhello",
                b"X: a\x01b\r\nContent-Length: 5\r\n\r\nhello",
                b"X: a\x7fb\r\nContent-Length: 5\r\n\r\nhello",
                b"X: a\rb\r\nContent-Length: 5\r\n\r\nhello",
                b"Host: y\r\nContent-Length: 5\r\n\r\nhello"):
            with self.subTest(fields=fields):
                self.check_refused(head + fields)

    def test_nul_in_header(self):
        for fields in (b"X: a\0b\r\n", b"X: \0\r\n",
                       b"X: a\0\r\nTransfer-Encoding: chunked\r\n"):
            with self.subTest(fields=fields):
                self.check_refused(b"GET /ping HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n")
        answer = self.send(b"GET /ping HTTP/1.1\r\nHost: x\r\nX\0: a\r\n\r\n")
        self.assertEqual(status_of(answer), 400)  # a page of libmicrohttpd's own

    def test_continuation_line_is_refused(self):
        # Glued to the name by libmicrohttpd 0.9.75: "Transfer-" becomes "Transfer-Encoding".
        self.check_refused(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-: chunked\r\n"
                           b" Encoding\r\nContent-Length: 5\r\n\r\n0\r\n\r\n")
        self.check_refused(b"GET /ping HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n")
        self.check_refused(b"GET /ping HTTP/1.1\r\nHost: x\r\nX: a\r\n\tb\r\n\r\n")

    def test_bare_line_feed_is_refused(self):
        self.check_refused(b"GET /ping HTTP/1.1\r\nHost: x\nX: a\r\n\r\n")
        self.check_refused(b"GET /ping HTTP/1.1\nHost: x\r\nX: a\r\n\r\n")
        self.check_refused(b"GET /ping HTTP/1.1\r\nHost: x\r\n\n")

    def test_host(self):
        self.check_refused(b"GET /ping HTTP/1.1\r\n\r\n")
        self.assertEqual(status_of(self.send(b"GET /ping HTTP/1.0\r\n\r\n")), 200)

    def test_what_the_library_refuses_is_counted(self):
        def extra():
            stats = self.stats()
            return stats["finished"] - stats["admitted"]

        before, heads = extra(), (b"Content-Length: abc", b"Content-Length: 2 ", b"no colon",
                                  b"X: " + b"y" * 13000)
        for head in heads:
            answer = self.send(b"POST /echo HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n")
            self.assertIn(status_of(answer), (400, 431))
        self.send(b"GET /ping HTTP/1.1\r\nHo")  # no request, and no answer
        deadline = time.monotonic() + 5
        while extra() != before + len(heads) and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertEqual(extra(), before + len(heads))
        self.assertEqual(self.stats()["no_status"], 0)

    def test_absolute_targets(self):
        """As clients send them to a proxy; every server must take them."""
        for target, status in ((b"http://127.0.0.1/ping", 200), (b"HTTPS://[::1]:8/ping?x=/", 200),
                               (b"http://x?/ping", 404), (b"http:///ping", 404),
                               (b"ftp://x/ping", 404), (b"http://x/http://x/ping", 404)):
            with self.subTest(target=target):
                answer = self.send(b"GET %s HTTP/1.1\r\nHost: y\r\nConnection: close\r\n\r\n" % target)
                self.assertEqual(status_of(answer), status)
        answer = self.send(b"GET http://x/sleep?ms=0 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        self.assertTrue(answer.endswith(b"slept\n"), answer)

    def test_request_line(self):
        for line in (b"GET /pi\0ng HTTP/1.1", b"GET /ping%00 HTTP/1.1", b"GET /pi ng HTTP/1.1"):
            with self.subTest(line=line):
                self.check_refused(line + b"\r\nHost: x\r\n\r\n")

    def test_bare_lf_between_chunks(self):
        """Whoever does not take it for the end of a line finds another end of the body, and
        what we take for the next request within it."""
        head = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        before = self.stats()
        for body in (b"5\nhello\r\n0\r\n\r\n", b"5\r\nhello\n0\r\n\r\n",
                     b"5;a\nhello\r\n0\r\n\r\n", b"5\r\nhello\r\n0;a\n\r\n",
                     b"5\r\nhello\r\n0\n\n", b"5\r\nhello\r\n0\r\na: b\n\r\n"):
            with self.subTest(body=body):
                answer = self.send(head + body + b"GET /smug HTTP/1.1\r\nHost: x\r\n\r\n")
                self.assertIn(status_of(answer), (200, 400))
        self.assertEqual(self.stats()["smuggled"], before["smuggled"])

    # --- bodies ---

    def test_body_needs_a_length(self):
        answer = self.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        self.assertEqual(status_of(answer), 411)

    def test_body_limit(self):
        limit = 8 << 20
        self.assertEqual(len(self.server.post("/echo", b"a" * limit)[2]), limit)
        # Refused before it is read: nothing but the head is sent here.
        start = time.monotonic()
        answer = self.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (limit + 1))
        self.assertEqual(status_of(answer), 413)
        self.assertLess(time.monotonic() - start, 1)

    def test_refusal_reaches_a_client_that_sends_on(self):
        # Closing with unread input would reset the connection: sending fails then.
        for _ in range(5):
            self.assertEqual(self.server.post("/echo", b"a" * (12 << 20))[0], 413)

    def test_chunked(self):
        def chunks(count, size, step):
            for i in range(0, count * size, step):
                yield b"b" * min(step, count * size - i)
        connection = self.server.connection()
        for step in (1000, 7, 65536):
            connection.request("POST", "/echo", chunks(10, 1000, step), encode_chunked=True,
                               headers={"Transfer-Encoding": "chunked"})
            self.assertEqual(connection.getresponse().read(), b"b" * 10000)
        connection.request("POST", "/echo", chunks(1, (8 << 20) + 1, 1 << 20), encode_chunked=True,
                           headers={"Transfer-Encoding": "chunked"})
        response = connection.getresponse()
        self.assertEqual(response.status, 413)
        response.read()
        connection.close()

    def test_expect_continue(self):
        with self.server.socket() as sock:
            sock.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                         b"Expect: 100-continue\r\nConnection: close\r\n\r\n")
            self.assertEqual(sock.recv(100), b"HTTP/1.1 100 Continue\r\n\r\n")
            sock.sendall(b"hello")
            self.assertTrue(read_until_closed(sock).endswith(b"\r\n\r\nhello"))
        # No invitation for a body that is not wanted.
        for path, length, status in ((b"/echo", 99999999, 413), (b"/nowhere", 5, 404)):
            answer = self.send(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n"
                               b"Expect: 100-continue\r\n\r\n" % (path, length))
            self.assertEqual(status_of(answer), status)

    def test_half_closed_client_is_answered(self):
        with self.server.socket() as sock:
            sock.sendall(b"POST /sleep?ms=100 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            sock.shutdown(socket.SHUT_WR)
            self.assertEqual(status_of(read_until_closed(sock)), 200)

    def test_a_form_is_looked_for_where_one_is_taken(self):
        for path in ("/ping", "/sleep?ms=0"):
            self.assertEqual(self.server.get(path, {"Content-Type": "multipart/form-data"})[0], 200)
        self.assertEqual(self.server.post("/form", b"", "multipart/form-data")[0], 400)

    # --- connections ---

    def test_head(self):
        answer = self.send(b"HEAD /big?bytes=1000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        self.assertIn(b"Content-Length: 1000\r\n", answer)
        self.assertTrue(answer.endswith(b"\r\n\r\n"))

    def test_keep_alive(self):
        """One connection for all: also for refusals that leave nothing unread."""
        connection = self.server.connection()
        connection.connect()
        first = connection.sock
        steps = [("GET", "/ping", None, 200), ("POST", "/echo", b"x" * 5000, 200),
                 ("GET", "/nowhere", None, 404), ("POST", "/nowhere", b"x" * 50, 404),
                 ("POST", "/sleep?ms=5", b"", 200), ("HEAD", "/ping", None, 200)] * 3
        for method, path, body, status in steps:
            connection.request(method, path, body)
            response = connection.getresponse()
            response.read()
            self.assertEqual(response.status, status)
            self.assertIs(connection.sock, first, f"closed after {method} {path}")
        connection.close()

    def test_pipelining(self):
        requests, expected = [], []
        for i in range(60):
            kind = i % 4
            if kind == 0:
                requests.append(b"GET /ping HTTP/1.1\r\nHost: x\r\nX-Request-Id: n%d\r\n\r\n" % i)
                expected.append(b"pong\n")
            elif kind == 1:
                body = b"body %d" % i
                requests.append(b"POST /echo HTTP/1.1\r\nHost: x\r\nX-Request-Id: n%d\r\n"
                                b"Content-Length: %d\r\n\r\n%s" % (i, len(body), body))
                expected.append(body)
            elif kind == 2:
                requests.append(b"GET /sleep?ms=3 HTTP/1.1\r\nHost: x\r\nX-Request-Id: n%d\r\n\r\n" % i)
                expected.append(b"slept\n")
            else:
                requests.append(b"POST /echo HTTP/1.1\r\nHost: x\r\nX-Request-Id: n%d\r\n"
                                b"Content-Length: 0\r\n\r\n" % i)
                expected.append(b"")
        stream = b"".join(requests)
        for step in (len(stream), 1000, 11):
            with self.server.socket() as sock:
                for i in range(0, len(stream), step):
                    sock.sendall(stream[i:i + step])
                answers = split_answers(read_until_closed(sock))
            self.assertEqual([body for _, _, body in answers], expected)
            self.assertEqual([h["x-request-id"] for _, h, _ in answers],
                             [f"n{i}" for i in range(60)])

    def test_request_id(self):
        for given in ("a", "A-z0_9.", "x" * 64):
            self.assertEqual(self.server.get("/ping", {"X-Request-Id": given})[1]["X-Request-Id"],
                             given)
        seen = set()
        for given in ("", "x" * 65, "a b", "a\xe4", "a;b", None):
            headers = {"X-Request-Id": given} if given is not None else {}
            answer = self.server.get("/ping", headers)[1]["X-Request-Id"]
            self.assertRegex(answer, r"\A[0-9a-f]{16,64}\Z")
            seen.add(answer)
        self.assertEqual(len(seen), 6)

    def test_clients_that_leave(self):
        time.sleep(0.3)  # what the tests before this one began has ended
        before = self.stats()
        for data in (b"", b"GET", b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc",
                     b"GET /sleep?ms=100 HTTP/1.1\r\nHost: x\r\n\r\n",
                     b"GET /big?bytes=50000000 HTTP/1.1\r\nHost: x\r\n\r\n"):
            for i in range(10):
                sock = self.server.socket()
                sock.sendall(data)
                time.sleep(0.005 * (i % 3))
                # Reset instead of a polite end.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                sock.close()
        for _ in range(50):
            time.sleep(0.1)
            stats = self.stats()
            if stats["active"] == 0 and stats["connections"] == 1:
                break
        self.assertEqual(stats["admitted"] - before["admitted"],
                         stats["finished"] - before["finished"])
        self.assertGreaterEqual(stats["unsent"] - before["unsent"], 10)
        self.assertEqual(stats["no_status"], 0)
        self.assertEqual(stats["body_bytes"], 0)

    # --- forms ---

    def form(self, parts):
        body, content_type = multipart(parts)
        status, _, answer = self.server.post("/form", body, content_type)
        self.assertEqual(status, 200, answer)
        return [line.split("|") for line in answer.decode("latin-1").splitlines()]

    def test_form(self):
        data = bytes(range(256)) * 100
        got = self.form([("image", "a.jpg", "image/jpeg", data), ("labels", None, None, b"cat,dog"),
                         ("image", "", "image/png", b""), ("x", None, None, b"\r\n--"),
                         ("y", None, None, b"\r\n----------clipdtes")])
        self.assertEqual(got, [["image", "a.jpg", "image/jpeg", "25600", str(sum(data))],
                               ["labels", "", "", "7", str(sum(b"cat,dog"))],
                               ["image", "", "image/png", "0", "0"],
                               ["x", "", "", "4", str(sum(b"\r\n--"))],
                               ["y", "", "", "20", str(sum(b"\r\n----------clipdtes"))]])

    def test_form_is_the_same_however_it_is_cut(self):
        """Empty parts among equal names count, wherever the network cuts the body."""
        sizes = [3, 0, 0, 2, 0]
        body, content_type = multipart([("image", None, None, b"z" * size) for size in sizes])
        head = (f"POST /form HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n").encode()
        expected = "".join(f"image|||{size}|{ord('z') * size}\n" for size in sizes)
        for cut in range(1, len(body), 3):
            with self.server.socket() as sock:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.sendall(head + body[:cut])
                time.sleep(0.002)
                sock.sendall(body[cut:])
                answer = split_answers(read_until_closed(sock))[0]
            self.assertEqual((answer[0], answer[2].decode()), (200, expected), f"cut at {cut}")

    def test_broken_forms(self):
        body, content_type = multipart([("image", "a.jpg", "image/jpeg", b"abc")])
        for size in range(len(body) - 4):
            self.assertEqual(self.server.post("/form", body[:size], content_type)[0], 400, size)
        for broken in ("multipart/form-data", "multipart/form-data; boundary=",
                       "multipart/form-data; boundary=" + "b" * 2000):
            self.assertEqual(self.server.post("/form", body, broken)[0], 400)
        many, content_type = multipart([("f", None, None, b"v")] * 4097)
        self.assertIn(self.server.post("/form", many, content_type)[0], (400, 413))
        many, content_type = multipart([("f", None, None, b"v")] * 4096)
        self.assertEqual(self.server.post("/form", many, content_type)[0], 200)


if __name__ == "__main__":
    unittest.main()
