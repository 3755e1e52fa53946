"""openapi.yaml as a test case: every answer is held against what its operation documents,
and what was never provoked can be told."""

import contextlib
import json
import os
import re
import tempfile
import time
import unittest

import schema
from harness import Server

# 500 would be a bug, so nothing provokes it.
EXCUSED = {"500"}

document = schema.load()
operations = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, item in document["paths"].items()
    for method, operation in item.items()
    if method != "parameters"
}
seen = set()


def unseen(names):
    """(operation, status) of what the operations document and nobody has provoked."""
    documented = {(name, status) for name in names
                  for status in operations[name][2]["responses"] if status not in EXCUSED}
    return documented - seen


def setting(name, value):
    return ["--set", f"{name}={value}"]


def ready(server):
    while server.get("/readyz")[0] != 200:
        time.sleep(0.02)


@contextlib.contextmanager
def loading_server(model, store=False):
    """A server that is loading: its vocabulary is a pipe to which nobody writes."""
    with tempfile.TemporaryDirectory() as folder:
        pipe, config = os.path.join(folder, "vocab.json"), os.path.join(folder, "clipd.yaml")
        os.mkfifo(pipe)
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"models:\n  - path: {model}\n    vocab: {pipe}\n")
            if store:
                file.write(f"store:\n  location: {folder}/store\n")
        with Server(args=["--config", config]) as server:
            yield server
            server.terminate()
            # The thread sanitizer delivers no signal to a thread that waits in open().
            while server.alive():
                with contextlib.suppress(OSError):
                    os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
                time.sleep(0.02)


def parse(kind, body):
    """The JSON values of a body, one for each line of NDJSON; text or bytes else."""
    if kind == "application/x-ndjson":
        return [json.loads(line) for line in body.splitlines()]
    if "json" in kind:
        return [json.loads(body)]
    return [body.decode("utf-8" if kind.startswith(("text/", "application/yaml")) else "latin-1")]


class Contract(unittest.TestCase):
    def answer(self, operation, status, reply):
        """Holds a reply against what the operation documents; returns the parsed body, of
        NDJSON a list, of images and arrays the bytes."""
        found, headers, body = reply
        self.assertEqual(found, status, body[:500])
        documented = operations[operation][2]["responses"][str(status)]
        documented = schema.resolve(document, documented)
        seen.add((operation, str(status)))
        self.assertRegex(headers["X-Request-Id"], r"^[\x21-\x7e]{1,64}$")
        for name, header in documented.get("headers", {}).items():
            if schema.resolve(document, header).get("required"):
                self.assertIn(name, headers)
        kind = headers["Content-Type"].split(";")[0]
        content = documented["content"].get(kind, documented["content"].get(
            kind.split("/")[0] + "/*"))
        self.assertIsNotNone(content, kind)
        values = parse(kind, body)
        for value in values:
            schema.check(document, content["schema"], value)
        if kind == "application/problem+json":
            self.assertEqual(values[0]["status"], status)
            self.assertEqual(values[0]["instance"], headers["X-Request-Id"])
        if kind == "application/x-ndjson":
            return values
        return values[0] if "json" in kind or "text" in kind or "yaml" in kind else body

    def call(self, server, operation, status, body=None, content_type=None, query="", path=None,
             **headers):
        method, template, _ = operations[operation]
        path = template.format(**path) if path else template
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if content_type:
            headers["Content-Type"] = content_type
        reply = server.request(method, path + query, body, headers)
        return self.answer(operation, status, reply)

    def json(self, server, operation, status, value, **options):
        """Posts JSON that fits the request's schema, or is meant to be refused."""
        if status == 200:
            content = operations[operation][2]["requestBody"]["content"]
            schema.check(document, content["application/json"]["schema"], value)
        return self.call(
            server, operation, status, json.dumps(value), "application/json", **options
        )

    def check_unknown_parameters(self, server, names):
        """A misspelt parameter is refused with those that the document lists."""
        for name in names:
            listed = [schema.resolve(document, row) for row in operations[name][2].get("parameters", [])]
            known = [row["name"] for row in listed if row["in"] == "query"]
            for query in ("?fi~lter=%7B%7D", "?&fi~lter"):
                problem = self.call(server, name, 400, query=query,
                                    path={"name": "none", "id": "none", "snapshot": "none"})
                self.assertEqual(problem["errors"][0]["pointer"], "/fi~0lter")
                found = problem["detail"].partition("\" is not a parameter of this request, ")[2]
                self.assertEqual(sorted(found.removeprefix("expected some of: ").split(", ")),
                                 sorted(known or ["which has none"]), name)

    def check_content_encoding(self, server, operation, kind):
        """What is compressed is refused by its header, whatever it would be."""
        method, path, _ = operations[operation]
        for coding, expected in (("gzip", "identity"), ("identity, br", "identity"), ("Identity", None),
                                 ("", None)):
            headers = {"Content-Type": kind, "Content-Encoding": coding}
            reply = server.request(method, re.sub("[{}]", "", path), b"\x1f\x8b\x08", headers)
            self.assertEqual(reply[1]["Accept-Encoding"], expected, coding)
            if expected:
                self.answer(operation, 415, reply)
                self.assertIn(f'content encoding is \\"{coding}\\", expected identity'.encode(), reply[2])
            else:
                self.assertIn(reply[0], (400, 404), reply)

    def check_411(self, server, operation, read_until_closed):
        method, path, _ = operations[operation]
        with server.socket() as sock:
            sock.sendall(f"{method} {re.sub('[{}]', '', path)} HTTP/1.1\r\nHost: x\r\n"
                         "Connection: close\r\n\r\n".encode())
            head, body = read_until_closed(sock).split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:])
        self.answer(operation, 411, (int(lines[0].split()[1]), headers, body))
