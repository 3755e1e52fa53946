"""Collections over HTTP with the store in PostgreSQL: what test_collections.py and test_search.py
ask of the other store, and what several servers on one database have to hold. That they go on
when the database dies is shown by make chaos."""

import json
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

import test_collections
import test_search
from contract import Contract, ready, setting
from harness import Server
from postgres import Database, InPostgres
from store import DIGEST, DIM, LOCKED, MODEL, at

SNAPSHOTS = ("listSnapshots", "putSnapshot", "getSnapshot", "deleteSnapshot", "restoreCollection")


class Collections(InPostgres, test_collections.Collections):
    def test_snapshots_are_the_databases(self):
        for operation in SNAPSHOTS:
            body = (b'{"snapshot": "s"}', "application/json") if operation == "restoreCollection" else ()
            problem = self.call_on(operation, 404, *body)
            self.assertIn("pg_dump", problem["detail"])


class Items(InPostgres, test_collections.Items):
    pass


class Searches(InPostgres, test_search.Searches):
    pass


class Duplicates(InPostgres, test_search.Duplicates):
    pass


class Replicas(Contract):
    """Two servers on one database."""

    @classmethod
    def setUpClass(cls):
        cls.database = Database()
        cls.addClassCleanup(cls.database.close)
        cls.replicas = [cls.start(), cls.start()]
        for replica in cls.replicas:
            cls.addClassCleanup(replica.__exit__, None, None, None)

    @classmethod
    def start(cls, more=""):
        replica = Server(MODEL, args=setting("store.location", cls.database.address + more)).__enter__()
        ready(replica)
        return replica

    def setUp(self):
        self.replicas[0].request("DELETE", "/collections/c")
        self.make(0, "c")

    def make(self, replica, name, dim=DIM, status=200):
        spec = {"model": "other", "model_digest": DIGEST, "dim": dim}
        return self.json(self.replicas[replica], "putCollection", status, spec, path={"name": name})

    def put(self, replica, *ids, name="c"):
        items = [{"id": i, "embedding": at(0.1 * n), "metadata": {"by": replica}} for n, i in enumerate(ids)]
        return self.json(self.replicas[replica], "upsertItems", 200, {"items": items}, path={"name": name})

    def ids(self, replica, name="c"):
        """What a search finds, nearest first."""
        value = self.json(self.replicas[replica], "search", 200, {"embedding": at(0), "top_k": 1000},
                          path={"name": name})
        return [hit["id"] for hit in value["results"][0]["hits"]]

    def drop(self, replica, name="c", status=200):
        self.call(self.replicas[replica], "deleteCollection", status, path={"name": name})

    def test_one_sees_what_the_other_did(self):
        for writer, reader in ((0, 1), (1, 0)):
            self.put(writer, "a", "b", "c")
            self.assertEqual(self.ids(reader), ["a", "b", "c"])
            self.call(self.replicas[reader], "deleteItem", 200, path={"name": "c", "id": "b"})
            self.call(self.replicas[writer], "getItem", 404, path={"name": "c", "id": "b"})
            self.assertEqual(self.ids(writer), ["a", "c"])
            self.call(self.replicas[writer], "reindex", 200, path={"name": "c"})
            self.assertEqual(self.call(self.replicas[reader], "getStats", 200, path={"name": "c"})["items"], 2)

    def test_a_collection_of_the_same_name(self):
        """A replica that knows the one of before gives nothing of it, and puts nothing in it."""
        for there, here in ((0, 1), (1, 0)):
            self.put(here, "old")
            self.drop(there)
            self.call(self.replicas[here], "countItems", 404, path={"name": "c"})
            self.make(there, "c", dim=3)
            self.assertEqual(self.call(self.replicas[here], "getCollection", 200, path={"name": "c"})["dim"], 3)
            body = {"items": [{"id": "x", "embedding": at(0)}]}
            self.json(self.replicas[here], "upsertItems", 409, body, path={"name": "c"})
            self.assertEqual(self.call(self.replicas[here], "countItems", 200, path={"name": "c"})["items"], 0)
            self.drop(there)
            self.make(there, "c")
            self.assertEqual(self.put(here, "new"), {"inserted": 1, "updated": 0})
            self.assertEqual(self.ids(there), ["new"])

    def test_one_that_only_reads(self):
        """As on a standby of PostgreSQL: it starts, searches, and is ready; writes are refused."""
        self.put(0, "a", "b")
        reader = self.start("&target_session_attrs=any&options=-cdefault_transaction_read_only%3Don")
        self.addCleanup(reader.__exit__, None, None, None)
        body = {"embedding": at(0), "top_k": 1}
        for _ in range(2):
            value = self.json(reader, "search", 200, body, path={"name": "c"})
            self.assertEqual(value["results"][0]["hits"][0]["id"], "a")
            problem = self.json(reader, "upsertItems", 503, {"items": [{"id": "a", "embedding": at(1)}]},
                                path={"name": "c"})
            self.assertIn("read-only", problem["detail"])
            self.call(reader, "deleteItem", 503, path={"name": "c", "id": "a"})
            self.call(reader, "ready", 200)
        self.assertEqual(self.ids(1), ["a", "b"])

    def test_one_that_waits_in_vain(self):
        """Somebody has locked a table: whatever asks for it gives up, and readiness does not."""
        self.put(0, "x")
        more = setting("store.timeout", "1s")
        with Server(MODEL, args=setting("store.location", self.database.address) + more) as server:
            ready(server)
            path = {"name": "c", "id": "x"}
            with self.database.locked(), ThreadPoolExecutor(len(LOCKED)) as pool:
                calls = [pool.submit(self.json, server, name, 504, {}, path=path) if name == "findDuplicates"
                         else pool.submit(self.call, server, name, 504, path=path) for name in LOCKED]
                for call in calls:
                    self.assertIn("PostgreSQL", call.result()["detail"])
                self.call(server, "ready", 200)
            self.assertEqual(self.call(server, "getItem", 200, path=path)["id"], "x")

    def both(self, do):
        """Runs it for both replicas at once; what went wrong in a thread fails the test."""
        failures = []

        def run(replica):
            try:
                do(replica)
            except AssertionError as failure:
                failures.append(failure)

        threads = [threading.Thread(target=run, args=(replica,)) for replica in (0, 1) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]

    def test_the_same_thing_at_once(self):
        created, inserted = [], []
        for n in range(5):
            self.both(lambda replica, n=n: created.append(self.make(replica, f"at-once-{n}")["created"]))
        self.assertEqual(sum(created), 5)
        names = [str(i) for i in range(40)]
        self.both(lambda replica: inserted.append(self.put(replica, *names)["inserted"]))
        self.both(lambda replica: inserted.append(self.put(replica, *reversed(names))["inserted"]))
        self.assertEqual(sum(inserted), len(names))
        # Each of these is there, or is not, or another is there; nothing else may come of it.
        seen = set()

        def turn(replica):
            for _ in range(15):
                for operation in ("PUT", "POST", "GET", "DELETE"):
                    body = json.dumps({"model": "m", "model_digest": DIGEST, "dim": DIM} if operation == "PUT"
                                      else {"items": [{"id": "x", "embedding": at(1)}]})
                    path = "/collections/fleeting" + ("/items" if operation in ("POST", "GET") else "")
                    status, _, answer = self.replicas[replica].request(
                        operation, path, body if operation[0] == "P" else None, {"Content-Type": "application/json"})
                    seen.add(status)
                    assert status in (200, 404, 409), answer

        self.both(turn)
        self.assertIn(200, seen)

    def test_one_is_killed(self):
        """In the middle of writes, some of one item and some of many: what it has acknowledged is
        there, and so are whole calls only."""
        victim, acknowledged, refused = self.start(), set(), []
        batch = 20

        def write(writer, many):
            for n in range(100000):
                ids = [f"{writer}-{n}-{i}" for i in range(batch if many else 1)]
                items = [{"id": i, "embedding": at(1)} for i in ids]
                try:
                    status, _, answer = victim.post("/collections/c/items", json.dumps({"items": items}),
                                                    "application/json")
                except OSError:
                    return
                if status == 200:
                    acknowledged.update(ids)
                else:
                    refused.append(answer)

        writers = [threading.Thread(target=write, args=(i, i % 2)) for i in range(4)]
        for writer in writers:
            writer.start()
        deadline = time.monotonic() + 60
        while len(acknowledged) < 500 and time.monotonic() < deadline:
            self.put(0, "steady")
            time.sleep(0.01)
        victim.kill()
        for writer in writers:
            writer.join()
        victim.__exit__(None, None, None)
        self.assertEqual(refused, [])
        self.assertGreaterEqual(len(acknowledged), 500)
        status, _, body = self.replicas[1].get("/collections/c/export?include=")
        self.assertEqual(status, 200)
        stored = {json.loads(line)["id"] for line in body.splitlines()}
        self.assertEqual(acknowledged - stored, set())
        counts = {}
        for name in stored - {"steady"}:
            writer, n, _ = name.split("-")
            counts[writer, n] = counts.get((writer, n), 0) + 1
        self.assertEqual({(int(writer) % 2, count) for (writer, _), count in counts.items()},
                         {(0, 1), (1, batch)})


if __name__ == "__main__":
    unittest.main(verbosity=1)
