"""The load generator, against a server that does what it is told."""

import json
import os
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../http"))
from harness import BINARY, ROOT, FakeServer

LOAD = os.path.join(os.path.dirname(BINARY), "bench", "load")
BODY = os.path.join(ROOT, "docs/pictures/ship.jpg")
USAGE, NO_INPUT = 64, 66


def run(*arguments):
    done = subprocess.run([LOAD, *arguments], capture_output=True, check=False, timeout=60)
    return done.returncode, done.stdout.decode()


class Load(unittest.TestCase):
    def test_closed_loop(self):
        with FakeServer() as server:
            code, out = run("--json", "--clients", "3", "--requests", "50",
                            f"http://127.0.0.1:{server.port}/echo", BODY)
            stats = json.loads(server.get("/stats")[2])
        found = json.loads(out)
        self.assertEqual(code, 0)
        self.assertEqual((found["requests"], found["ok"], found["statuses"]), (50, 50, {"200": 50}))
        self.assertEqual((found["failed"], found["unanswered"]), (0, 0))
        self.assertTrue(0 < found["p50_ms"] <= found["p90_ms"] <= found["p99_ms"] <= found["max_ms"])
        self.assertGreaterEqual(stats["finished"], 50)

    def test_latency_counts_from_when_a_request_was_due(self):
        """40 a second of 50 ms each on one connection: the last is due after 1 s, sent after 2 s."""
        with FakeServer() as server:
            url = f"http://127.0.0.1:{server.port}/sleep?ms=50"
            code, out = run("--json", "--rate", "40", "--seconds", "1", "--clients", "1", url, BODY)
        found = json.loads(out)
        self.assertEqual((code, found["requests"], found["ok"]), (0, 40, 40))
        self.assertGreater(found["max_ms"], 900)
        self.assertGreater(found["p50_ms"], 400)

    def test_rate(self):
        with FakeServer() as server:
            begin = time.monotonic()
            code, out = run("--json", "--rate", "50", "--seconds", "1",
                            f"http://localhost:{server.port}/ping", BODY)
            seconds = time.monotonic() - begin
        self.assertEqual((code, json.loads(out)["ok"]), (0, 50))
        self.assertGreater(seconds, 0.9)

    def test_errors_are_counted_by_status(self):
        with FakeServer() as server:
            code, out = run("--json", "--requests", "5", f"http://127.0.0.1:{server.port}/embed/image", BODY)
            self.assertEqual((code, json.loads(out)["statuses"]), (1, {"415": 5}))
            code, out = run("--requests", "5", f"http://127.0.0.1:{server.port}/nothing", "photo:500x375")
            self.assertEqual(code, 1)
            self.assertIn("status 404: 5", out)
            port = server.port
        code, out = run("--json", "--requests", "5", f"http://127.0.0.1:{port}/ping", BODY)
        self.assertEqual((code, json.loads(out)["failed"]), (1, 5))

    def test_only_this_machine(self):
        for url in ("http://10.0.0.1:80/x", "http://example.com:80/x", "https://127.0.0.1:80/x",
                    "http://128.0.0.1:80/x", "http://127.0.0.1/x", "http://127.0.0.1:80", "x"):
            self.assertEqual(run(url, BODY)[0], USAGE, url)
        self.assertEqual(run("http://127.0.0.1:1/x", "/nonexistent")[0], NO_INPUT)
        for option in (["--rate", "0"], ["--rate", "x"], ["--seconds", "99999"], ["--clients", "0"]):
            self.assertEqual(run(*option, "http://127.0.0.1:1/x", BODY)[0], USAGE, option)


if __name__ == "__main__":
    unittest.main()
