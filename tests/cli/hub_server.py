"""A hub on 127.0.0.1, such as `clipd pull` and Python's huggingface_hub talk to, and a second
server on another port that large files are redirected to, as the hub's own storage is.

    with Hub({"org/model": {"config.json": b"..."}}) as hub:
        clipd("pull", "org/model", env=hub.environment(folder))

Files are "large" by the ending of their names. What goes wrong is said beforehand:
`hub.faults[method, path]` is a list of functions that answer instead, one for each request."""

import hashlib
import http.server
import json
import sys
import threading
import urllib.parse

LARGE = (".safetensors", ".bin", ".pt", ".pth", ".onnx", ".h5", ".msgpack")
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def git_name(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def digest(path, data):
    return sha256(data) if path.endswith(LARGE) else git_name(data)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, status, body=b"", **headers):
        self.send_response(status)
        headers.setdefault("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def reply_file(self, data, **headers):
        """The file, or the range of it that was asked for."""
        asked = self.headers.get("Range")
        if not asked or self.hub.ignore_range:
            return self.reply(200, data, **headers)
        first = int(asked.removeprefix("bytes=").removesuffix("-"))
        if first >= len(data):
            return self.reply(416, Content_Range=f"bytes */{len(data)}")
        return self.reply(206, data[first:], Content_Range=f"bytes {first}-{len(data) - 1}/{len(data)}")

    def cut(self, data, count, status=200, **headers):
        """Announces all of it, sends so much of it, and hangs up."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data[:count])
        self.wfile.flush()
        self.close_connection = True

    def answer(self):
        path = urllib.parse.urlsplit(self.path).path
        with self.hub.lock:
            self.hub.requests.append((self.server.kind, self.command, self.path,
                                      dict(self.headers.items())))
            faults = self.hub.faults.get((self.command, path), [])
            fault = faults.pop(0) if faults else None
        try:
            if fault:
                fault(self)
            elif self.server.kind == "storage":
                self.reply_file(self.hub.stored[path.removeprefix("/stored/")])
            else:
                self.answer_hub(path)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_HEAD = answer

    def answer_hub(self, path):
        parts = urllib.parse.unquote(path).strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            return self.answer_listing("/".join(parts[2:4]), "/".join(parts[5:]))
        name, what, file = "/".join(parts[:2]), parts[2:4], "/".join(parts[4:])
        files, commit = self.hub.repositories.get(name, {}), self.hub.commit
        if what not in (["resolve", commit], ["resolve", "main"]) or file not in files:
            return self.reply(404, b"Entry not found", X_Error_Code="EntryNotFound")
        data = files[file]
        if not file.endswith(LARGE):
            return self.reply_file(data, ETag=f'"{git_name(data)}"', X_Repo_Commit=commit)
        return self.reply(302, b"Found. Redirecting", ETag='"of the answer, not of the file"',
                          Location=f"{self.hub.storage}/stored/{sha256(data)}?signature=secret",
                          X_Repo_Commit=commit, X_Linked_Etag=f'"{digest(file, data)}"',
                          X_Linked_Size=str(len(data)))

    def answer_listing(self, name, revision):
        if name not in self.hub.repositories or revision not in self.hub.revisions:
            return self.reply(404, b'{"error": "Repository not found"}')
        body = {"id": name, "sha": self.hub.commit, "private": False, "tags": ["clip"],
                "siblings": [{"rfilename": file} for file in self.hub.repositories[name]]}
        return self.reply(200, json.dumps(body).encode(), Content_Type="application/json")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):  # of a client that was killed
            super().handle_error(request, client_address)


class Hub:
    def __init__(self, repositories):
        self.repositories = repositories
        self.commit = COMMIT
        self.revisions = {"main", COMMIT}
        self.stored = {sha256(data): data
                       for files in repositories.values() for data in files.values()}
        self.faults = {}
        self.requests = []  # (kind, method, path, headers)
        self.ignore_range = False
        self.lock = threading.Lock()
        self.servers = []

    def start(self, kind):
        handler = type("Bound", (Handler,), {"hub": self})
        server = Server(("127.0.0.1", 0), handler)
        server.kind = kind
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    def __enter__(self):
        self.endpoint = self.start("hub")
        self.storage = self.start("storage")
        return self

    def __exit__(self, *_):
        for server in self.servers:
            server.shutdown()
            server.server_close()

    def environment(self, home, **more):
        return {"HF_ENDPOINT": self.endpoint, "HF_HOME": home, **more}

    def fault(self, method, path, *answers):
        self.faults.setdefault((method, path), []).extend(answers)

    def asked(self, kind=None, method=None):
        """The paths that were asked for, without queries."""
        return [urllib.parse.urlsplit(path).path for k, m, path, _ in self.requests
                if kind in (None, k) and method in (None, m)]
