"""Starts a server on a free port and talks to it.

    with Server(model_dir="models/starter") as server:
        status, headers, body = server.get("/livez")

The program is `clipd serve`; its path is $CLIPD_BINARY, else $CLIPD, else
build/release/clipd. FakeServer starts tests/server/fake_server of the same build
instead: our HTTP side in front of an api that echoes, sleeps and counts. Its log is
printed when the block is left by an exception, or when the server dies.
"""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.environ.get("CLIPD_BINARY") or os.environ.get("CLIPD") or "build/release/clipd"
BINARY = os.path.join(ROOT, BINARY)
FAKE = os.path.join(os.path.dirname(BINARY), "tests", "server", "fake_server")
# Of one answer, in seconds; sanitizers take their time.
PATIENCE_S = float(os.environ.get("TEST_TIMEOUT", "240")) / 8
SHARED = os.path.join(ROOT, os.environ.get("CLIPD_SHARED", "../shared"))


def sanitized():
    """Whether this build's memory and times say nothing about the program's."""
    with open(FAKE, "rb") as file:
        program = file.read()
    return b"__asan_init" in program or b"__tsan_init" in program


class Process:
    """A server process: `command` must print "listening on http://ADDRESS:PORT"."""

    def __init__(self, command, env=None, start_timeout=120):
        self.command = command
        kept = {name: value for name, value in os.environ.items()
                if not name.startswith("CLIPD_")}  # what is meant for the tests
        self.env = dict(kept, **(env or {}))
        self.start_timeout = start_timeout
        self.port = None
        self.process = None
        self.log_file = None

    def __enter__(self):
        self.log_file = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            self.command, stdout=self.log_file, stderr=self.log_file,
            stdin=subprocess.DEVNULL, env=self.env, cwd=ROOT)
        deadline = time.monotonic() + self.start_timeout
        while True:
            found = re.search(r"listening on http://\S*:(\d+)", self.log())
            if found:
                self.port = int(found.group(1))
                return self
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"{self.command[0]} did not start:\n{self.log()}")
            time.sleep(0.02)

    def __exit__(self, kind, value, trace):
        code = self.stop()
        if kind is not None or code not in (0, -signal.SIGKILL):
            sys.stderr.write(f"--- log of {' '.join(self.command)} (exit {code})\n{self.log()}---\n")
        if kind is None and code not in (0, -signal.SIGKILL):
            raise RuntimeError(f"server ended with {code}")
        self.log_file.close()

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        return os.pread(self.log_file.fileno(), 1 << 24, 0).decode("utf-8", "replace")

    def alive(self):
        return self.process.poll() is None

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def stop(self, timeout=60):
        """SIGTERM, then waits; returns the exit code. SIGKILL when that takes too long."""
        if self.alive():
            self.terminate()
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self):
        if self.alive():
            self.process.kill()
        return self.process.wait()

    def rss_kb(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))

    def cpu_s(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def connection(self, timeout=PATIENCE_S):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def request(self, method, path, body=None, headers=None, timeout=PATIENCE_S):
        """One request on a connection of its own: (status, headers, body)."""
        connection = self.connection(timeout)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def get(self, path, headers=None, **options):
        return self.request("GET", path, None, headers, **options)

    def post(self, path, body, content_type=None, headers=None, **options):
        headers = dict(headers or {})
        if content_type:
            headers["Content-Type"] = content_type
        return self.request("POST", path, body, headers, **options)

    def socket(self, timeout=PATIENCE_S):
        return socket.create_connection(("127.0.0.1", self.port), timeout)


class Server(Process):
    """`clipd serve`; `args` are further arguments."""

    def __init__(self, model_dir=None, args=(), env=None, **options):
        command = [BINARY, "serve", "--listen", "127.0.0.1:0"]
        if model_dir:
            command += ["--model", model_dir]
        super().__init__(command + list(args), env, **options)


class FakeServer(Process):
    """tests/server/fake_server; options as in struct http_server_options."""

    def __init__(self, env=None, **options):
        super().__init__([FAKE] + [f"{name}={value}" for name, value in options.items()], env)


def multipart(parts, boundary="----------clipdtest"):
    """A form of (name, filename or None, content type or None, bytes): (body, content type)."""
    out = []
    for name, filename, content_type, data in parts:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'
        if filename is not None:
            head += f'; filename="{filename}"'
        if content_type is not None:
            head += f"\r\nContent-Type: {content_type}"
        out += [head.encode(), b"\r\n\r\n", data, b"\r\n"]
    out.append(f"--{boundary}--\r\n".encode())
    return b"".join(out), f"multipart/form-data; boundary={boundary}"


def read_until_closed(sock):
    """All bytes until the other side closes; a reset ends them, too. Times out as set."""
    data = b""
    try:
        while chunk := sock.recv(65536):
            data += chunk
    except ConnectionError:
        pass
    return data
