"""Two `clipd serve` on a database that dies: what their clients are told meanwhile, and that they go
on by themselves."""

import http.client
import json
import os
import re
import sys
import threading
import time

from databases import ROOT, must, server, tool

sys.path.insert(0, os.path.join(ROOT, "tests/http"))
from contract import ready, setting
from harness import Server
from store import DIGEST, DIM, MODEL, at

UNAVAILABLE_S = 1.0
AGAIN_S = 2.0
PAUSE_S = 0.01
AWAY_S = 3
ITEMS = "/collections/chaos/items"
SEARCH = "/collections/chaos/search"


def item(name, angle=1):
    return {"id": name, "embedding": at(angle)}


class Client:
    """Writes to one replica, searches it, and asks whether it is ready, again and again."""

    def __init__(self, replica, name):
        self.replica, self.name = replica, name
        self.calls = []  # (what, status, seconds, when it was over, headers)
        self.acknowledged = set()
        self.stopped = False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def call(self, what, method, path, value=None):
        start = time.monotonic()
        body = None if value is None else json.dumps(value)
        status, headers, answer = self.replica.request(method, path, body,
                                                       {"Content-Type": "application/json"})
        now = time.monotonic()
        self.calls.append((what, status, now - start, now, headers))
        return status, answer

    def run(self):
        n = 0
        while not self.stopped:
            name = f"{self.name}-{n}"
            if self.call("write", "POST", ITEMS, {"items": [item(name)]})[0] == 200:
                self.acknowledged.add(name)
            status, answer = self.call("search", "POST", SEARCH, {"embedding": at(0), "top_k": 1})
            if status == 200:
                found = [hit["id"] for hit in json.loads(answer)["results"][0]["hits"]]
                must(found == ["nearest"], f"a search found {found}")
            self.call("ready", "GET", "/readyz")
            self.call("live", "GET", "/livez")
            self.call("embed", "POST", "/embed/text", {"text": "a dog"})
            n += 1
            time.sleep(PAUSE_S)

    def stop(self):
        self.stopped = True
        self.thread.join()

    def good_after(self, since, limit=10.0):
        """How long after `since` it wrote, searched and was ready."""
        needed = {"write", "search", "ready"}
        while time.monotonic() < since + limit:
            good = [call for call in self.calls if call[1] == 200 and call[3] - call[2] >= since]
            if needed <= {call[0] for call in good}:
                return max(next(call[3] for call in good if call[0] == what) for what in needed) - since
            time.sleep(0.01)
        return sys.exit(f"chaos: {self.name} gave no good answer within {limit} s")


def check_away(client, way, start, end):
    """What was told while the database was away."""
    calls = [call for call in client.calls if call[3] - call[2] >= start and call[3] <= end]
    for what in ("write", "search"):
        found = {call[1] for call in calls if call[0] == what}
        must(found == {503}, f"{way}: a {what} gave {found}")
    later = {call[1] for call in calls if call[0] == "ready" and call[3] >= start + UNAVAILABLE_S}
    must(later == {503}, f"{way}: /readyz gave {later}")
    for what in ("live", "embed"):
        found = {call[1] for call in calls if call[0] == what}
        must(found == {200}, f"{way}: {what}, which needs no database, gave {found}")
    must(all("Retry-After" in call[4] for call in calls if call[1] == 503), f"{way}: no Retry-After")
    # Those that were on their way when it happened, too.
    slowest = max(call[2] for call in client.calls if call[3] >= start)
    must(slowest <= UNAVAILABLE_S, f"{way}: a call took {slowest:.3f} s")
    return slowest


class Upload:
    """NDJSON that comes until the database has gone, and then ends."""

    def __init__(self, replica, name):
        self.replica, self.name, self.over = replica, name, threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        with self.replica.socket() as sock:
            sock.sendall(f"POST {ITEMS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
                         "Transfer-Encoding: chunked\r\n\r\n".encode())
            n = 0
            while not self.over.is_set():
                lines = b"".join(json.dumps(item(f"{self.name}-{i}", 2)).encode() + b"\n"
                                 for i in range(n + 1, n + 501))
                sock.sendall(b"%x\r\n%s\r\n" % (len(lines), lines))
                n += 500
            sock.sendall(b"0\r\n\r\n")
            answer = http.client.HTTPResponse(sock)
            answer.begin()
            self.status, self.detail = answer.status, json.loads(answer.read())["detail"]

    def acknowledged(self):
        """The ids of the lines that are in."""
        found = re.match(r"lines 1 to (\d+) are in, the others are not: ", self.detail)
        return {f"{self.name}-{i}" for i in range(1, int(found.group(1)) + 1)} if found else set()


def stop_database_of_replicas():
    name, store = server("start", "served")
    arguments = setting("store.location", store) + ["--precision", "fp32"]
    with Server(MODEL, args=arguments) as first, Server(MODEL, args=arguments) as second:
        replicas = (first, second)
        for replica in replicas:
            ready(replica)
        spec = {"model": "none", "model_digest": DIGEST, "dim": DIM}
        must(first.request("PUT", "/collections/chaos", json.dumps(spec),
                           {"Content-Type": "application/json"})[0] == 200, "no collection")
        first.post(ITEMS, json.dumps({"items": [item("nearest", 0)]}), "application/json")
        clients = [Client(replica, f"client{i}") for i, replica in enumerate(replicas)]
        uploads = []
        for away, back in (("stop", "again"), ("freeze", "thaw"), ("kill", "again")):
            uploads.append(Upload(first, away))
            time.sleep(0.5)
            tool(away, name)
            start = time.monotonic()
            uploads[-1].over.set()
            time.sleep(AWAY_S)
            end = time.monotonic()
            must(not uploads[-1].thread.is_alive(), f"{away}: a long body is not answered")
            must(uploads[-1].status == 503, f"{away}: a long body gave {uploads[-1].status}")
            tool(back, name)
            since = time.monotonic()
            again = max(client.good_after(since) for client in clients)
            slowest = max(check_away(client, away, start, end) for client in clients)
            must(again <= AGAIN_S, f"{back}: answered after {again:.2f} s")
            print(f"  {away}: 503 from both, slowest {slowest * 1000:.0f} ms; {back}: ready after {again:.2f} s")
        for client in clients:
            client.stop()
        acknowledged = set().union(*(client.acknowledged for client in clients),
                                   *(upload.acknowledged() for upload in uploads))
        body = second.get("/collections/chaos/export?include=")[2]
        lost = acknowledged - {json.loads(line)["id"] for line in body.splitlines()}
        must(not lost, f"{len(lost)} acknowledged writes are lost: {sorted(lost)[:5]}")
        print(f"  {len(acknowledged)} acknowledged writes, 0 lost")
