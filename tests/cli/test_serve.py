"""`clipd serve` and `clipd healthcheck`: start, signals, exit codes, and that the server
gives the numbers of the command line. What it answers is tested in tests/http/."""

import json
import os
import signal
import socket
import sys
import tempfile
import time
import unittest

from program import DATA, MODEL, NO_INPUT, ROOT, UNAVAILABLE, USAGE, clipd, environment

sys.path.insert(0, os.path.join(ROOT, "tests/http"))
from harness import Server

SHIP = "docs/pictures/ship.jpg"


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def wait_until_ready(server):
    wait_until(lambda: server.get("/readyz")[0] == 200)


class Serve(unittest.TestCase):
    def test_same_numbers_as_the_command_line(self):
        with Server(MODEL, env=environment()) as server:
            wait_until_ready(server)
            with open(os.path.join(ROOT, SHIP), "rb") as file:
                answer = json.loads(server.post("/embed/image", file.read(), "image/jpeg")[2])
            row = json.loads(clipd("embed", "image", SHIP, "--model", MODEL)[1])
            self.assertEqual(answer["embeddings"], [row["embedding"]])
            text = "a photo of a ship."
            body = json.dumps({"texts": [text]})
            answer = json.loads(server.post("/embed/text", body, "application/json")[2])
            row = json.loads(clipd("embed", "text", text, "--model", MODEL)[1])
            self.assertEqual(answer["embeddings"], [row["embedding"]])
            answer = json.loads(server.get("/models")[2])
            self.assertEqual(answer, json.loads(clipd("info", "--model", MODEL)[1]))

    def test_aliases(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
            config.write("models:\n"
                         "  - {name: one, path: models/starter, aliases: [small, tiny]}\n"
                         "  - {name: two, path: models/starter, image_size: 40, default: true}\n")
            config.flush()
            with Server(args=["--config", config.name], env=environment()) as server:
                wait_until_ready(server)
                for asked, name in (("one", "one"), ("small", "one"), ("tiny", "one"),
                                    ("two", "two"), (None, "two")):
                    body = json.dumps({"texts": ["a cat"], **({"model": asked} if asked else {})})
                    status, _, answer = server.post("/embed/text", body, "application/json")
                    self.assertEqual((status, json.loads(answer)["model"]), (200, name))
                body = json.dumps({"texts": ["a cat"], "model": "huge"})
                self.assertEqual(server.post("/embed/text", body, "application/json")[0], 404)
                for path, key, name in (("/models", "models", "name"), ("/v1/models", "data", "id")):
                    found = {model[name]: model["aliases"] for model in json.loads(server.get(path)[2])[key]}
                    self.assertEqual(found, {"one": ["small", "tiny"], "two": []})
                self.assertEqual(json.loads(server.get("/v1/models/tiny")[2])["id"], "one")

    def test_the_log_names_the_kernels(self):
        for cpu, expected in (("generic", "generic"), (None, r"(generic|avx\w+)")):
            env = environment(CLIPD_CPU=cpu) if cpu else environment()
            with Server(MODEL, env=env) as server:
                wait_until_ready(server)
                self.assertRegex(server.log(), rf"loaded model=starter .* kernels={expected} precision=")

    def test_signals(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with Server(MODEL, env=environment()) as server:
                wait_until_ready(server)
                server.process.send_signal(number)
                self.assertEqual(server.process.wait(30), 0)

    def test_signal_while_loading(self):
        with Server(MODEL, env=environment()) as server:
            server.terminate()
            self.assertEqual(server.process.wait(30), 0)

    def test_what_balancers_still_send_is_answered(self):
        with Server(MODEL, args=["--set", "server.drain_delay=60s"], env=environment()) as server:
            wait_until_ready(server)
            server.terminate()
            wait_until(lambda: server.get("/readyz")[0] == 503)
            for _ in range(3):  # each on a connection of its own
                answer = server.post("/embed/text", '{"texts": ["a cat"]}', "application/json")
                self.assertEqual(answer[0], 200)
            self.assertEqual(server.get("/livez")[0], 200)
            server.terminate()
            self.assertEqual(server.process.wait(30), 128 + signal.SIGTERM)
            server.process.returncode = 0  # as expected here
        with Server(MODEL, args=["--set", "server.drain_delay=100ms"], env=environment()) as server:
            wait_until_ready(server)
            server.terminate()
            self.assertEqual(server.process.wait(30), 0)

    def test_second_signal_exits_at_once(self):
        with Server(MODEL, env=environment()) as server:
            wait_until_ready(server)
            with server.socket() as slow:
                slow.sendall(b"POST /embed/text HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
                time.sleep(0.3)
                started = time.monotonic()
                server.terminate()
                time.sleep(0.3)
                self.assertTrue(server.alive())
                server.terminate()
                self.assertEqual(server.process.wait(30), 128 + signal.SIGTERM)
                self.assertLess(time.monotonic() - started, 5)
            server.process.returncode = 0  # as expected here

    def test_port_in_use(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            code, _, err = clipd("serve", "--model", MODEL, "--listen", f"127.0.0.1:{port}")
        self.assertEqual(code, UNAVAILABLE)
        self.assertIn(f"127.0.0.1:{port}", err)

    def test_bad_models(self):
        listen = ["--listen", "127.0.0.1:0"]
        self.assertEqual(clipd("serve", "--model", "/nonexistent", *listen)[0], NO_INPUT)
        with tempfile.NamedTemporaryFile(suffix=".safetensors") as weights:
            weights.write(b"\xff" * 100)
            weights.flush()
            self.assertEqual(clipd("serve", "--model", weights.name, *listen)[0], DATA)

    def test_systemd_is_told(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "notify")
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
                listener.bind(path)
                listener.settimeout(30)
                with Server(MODEL, env=environment(NOTIFY_SOCKET=path)) as server:
                    self.assertEqual(listener.recv(100), b"READY=1")
                    self.assertEqual(server.get("/readyz")[0], 200)
                    server.terminate()
                    self.assertEqual(listener.recv(100), b"STOPPING=1")
                    self.assertEqual(server.process.wait(30), 0)

    def test_ipv6(self):
        if not socket.has_ipv6 or not os.path.exists("/proc/net/if_inet6"):
            print("skipped: no IPv6")
            return
        with Server(MODEL, args=["--listen", "[::1]:0"], env=environment()) as server:
            self.assertIn(f"listening on http://[::1]:{server.port}", server.log())
            address = f"[::1]:{server.port}"
            wait_until(lambda: clipd("healthcheck", "--listen", address)[0] == 0)


class Healthcheck(unittest.TestCase):
    def test_server(self):
        with Server(MODEL, env=environment()) as server:
            wait_until_ready(server)
            port = str(server.port)
            self.assertEqual(clipd("healthcheck", "--listen", f"127.0.0.1:{port}"), (0, b"", ""))
            self.assertEqual(clipd("healthcheck", env={"PORT": port})[0], 0)
            self.assertEqual(clipd("healthcheck", "--listen", f":{port}")[0], 0)

    def test_no_server(self):
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{silent.getsockname()[1]}"
            self.assertEqual(clipd("healthcheck", "--listen", address),
                             (1, b"", f"clipd: {address}: cannot connect: Connection refused\n"))
            silent.listen()
            started = time.monotonic()
            self.assertEqual(clipd("healthcheck", "--listen", address, "--timeout", "1")[0], 1)
            self.assertLess(time.monotonic() - started, 10)

    def test_not_ready(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            pid = os.fork()
            if pid == 0:
                connection = other.accept()[0]
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
                os._exit(0)
            address = f"127.0.0.1:{other.getsockname()[1]}"
            code, _, err = clipd("healthcheck", "--listen", address)
            os.waitpid(pid, 0)
        self.assertEqual(code, 1)
        self.assertEqual(err, f"clipd: {address}: not ready: HTTP/1.1 503 Service Unavailable\n")

    def test_usage(self):
        for timeout in ("0", "x", "3601", ""):
            self.assertEqual(clipd("healthcheck", "--timeout", timeout)[0], USAGE)


if __name__ == "__main__":
    unittest.main()
