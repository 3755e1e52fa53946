"""Collections over HTTP, row by row of openapi.yaml: what is put in is found, again after a
restart; wrong input of every kind; mixtures, filters, pages, duplicates, exports.

test_every_status_was_seen runs last, as in test_api.py."""

import base64
import json
import math
import os
import random
import shutil
import struct
import tempfile
import time
import unittest
from urllib.parse import quote

import contract
import schema
from contract import Contract, document, ready, setting
from harness import Server, read_until_closed
from images import png, text

MODEL = "models/starter"
DIM = 8
DIGEST = "ab" * 32  # of a model that is nobody's
RED, BLUE = png(40, 30), png(40, 30, (10, 20, 220))

operations = {name: row for name, row in contract.operations.items()
              if "collections" in row[2]["tags"]}
TAKES_BODY = [name for name, row in operations.items() if "requestBody" in row[2]]
# A body that each of them takes.
BODIES = {"putCollection": {}, "restoreCollection": {"snapshot": "none"}, "search": {"text": "a dog"}, "findDuplicates": {},
          "upsertItems": {"items": [{"id": "x", "text": "a dog"}]}}


def at(angle):
    """An embedding at an angle between the first two axes."""
    return [math.cos(angle), math.sin(angle)] + [0.0] * (DIM - 2)


def pack(numbers):
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def npy(rows, dim=DIM, descr="<f4", order="False", data=None):
    header = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': ({len(rows)}, {dim}), }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    data = b"".join(struct.pack(f"<{len(row)}f", *row) for row in rows) if data is None else data
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


class Store(Contract):
    """A server over a store of its own, with a collection of ready embeddings, "c"."""

    settings = []

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp()
        cls.start()

    @classmethod
    def start(cls):
        store = setting("store.location", os.path.join(cls.folder, "store"))
        cls.server = Server(MODEL, args=store + cls.settings + ["--precision", "fp32"]).__enter__()
        ready(cls.server)

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)
        shutil.rmtree(cls.folder)

    def setUp(self):
        for name in [c["name"] for c in self.call_on("listCollections")["collections"]]:
            self.call_on("deleteCollection", name=name)
        self.json_on("putCollection", {"model": "other", "model_digest": DIGEST, "dim": DIM,
                                       "fields": [{"path": "cat", "kind": "text"}]})

    def call_on(self, operation, status=200, body=None, kind=None, query="", name="c", item="x"):
        return self.call(self.server, operation, status, body, kind, query,
                         path={"name": quote(name, safe=""), "id": quote(item, safe=""),
                               "snapshot": quote(name, safe="")})

    def json_on(self, operation, value, status=200, name="c", query=""):
        return self.json(self.server, operation, status, value, query=query, path={"name": name})

    def put(self, *items, status=200, **more):
        return self.json_on("upsertItems", {"items": list(items), **more}, status)

    def hits(self, value, **options):
        return self.json_on("search", value, **options)["results"][0]["hits"]

    def ids(self, value, **options):
        return [hit["id"] for hit in self.hits(value, **options)]

    def listed(self, query=""):
        return [item["id"] for item in self.call_on("listItems", query=query)["items"]]


class Collections(Store):
    def test_made_once(self):
        spec = {"precision": "fp32", "fields": [{"path": "a.b", "kind": "number"},
                                                {"path": "c", "kind": "bool"}]}
        first = self.json_on("putCollection", spec, name="photos")
        again = self.json_on("putCollection", spec, name="photos")
        self.assertEqual((first["created"], again["created"]), (True, False))
        self.assertEqual(first["collection"], again["collection"])
        self.assertEqual(self.call_on("getCollection", name="photos"), first["collection"])
        model = self.server.get("/models")[2]
        self.assertEqual(first["collection"]["model_digest"], json.loads(model)["models"][0]["sha256"])
        self.assertEqual(first["collection"]["fields"], spec["fields"])
        names = [c["name"] for c in self.call_on("listCollections")["collections"]]
        self.assertEqual(names, ["c", "photos"])
        for other in ({}, dict(spec, precision="bf16"), dict(spec, fields=[]),
                      dict(spec, model_digest=DIGEST, dim=128)):
            self.json_on("putCollection", other, 409, name="photos")
        self.call_on("deleteCollection", name="photos")
        self.call_on("getCollection", 404, name="photos")

    def test_bad_specs(self):
        for body, pointer in (
                ({"modle": "x"}, "/modle"), ({"model": 3}, "/model"), ({"precision": "int4"}, "/precision"),
                ({"dim": 8}, "/model_digest"), ({"model_digest": DIGEST}, "/dim"),
                ({"model_digest": DIGEST * 2, "dim": 8}, "/model_digest"),
                ({"model_digest": DIGEST, "dim": 0}, "/dim"), ({"fields": {}}, "/fields"),
                ({"fields": [{"path": "a"}]}, "/fields/0/kind"),
                ({"fields": [{"path": "a" * 300, "kind": "text"}]}, "/fields/0/path"),
                ({"fields": [{"path": "a", "kind": "date"}]}, "/fields/0/kind"),
                ({"fields": [{"kind": "text"}]}, "/fields/0/path")):
            with self.subTest(body=body):
                value = self.json_on("putCollection", body, 400, name="new")
                self.assertEqual(value["errors"][0]["pointer"], pointer)
        for body in ({"model_digest": "x" * 64, "dim": 8}, {"model_digest": DIGEST, "dim": 5000},
                     {"fields": [{"path": "a..b", "kind": "text"}]},
                     {"fields": [{"path": "a", "kind": "text"}] * 2}):
            self.json_on("putCollection", body, 400, name="new")
        self.json_on("putCollection", {"model": "none such"}, 404, name="new")
        self.json_on("putCollection", {"fields": [{"path": f"f{i}", "kind": "text"}
                                                  for i in range(33)]}, 413, name="new")
        for name in (".x", "a b", "ä", "x" * 65, "a/b"):
            self.json_on("putCollection", {}, 400, name=quote(name, safe=""))
            for operation in ("getCollection", "deleteCollection", "getStats", "countItems", "reindex",
                              "exportItems", "listItems"):
                self.call_on(operation, 400, name=name)

    def test_stats_count_reindex(self):
        self.put(*[{"id": f"{i}", "embedding": at(i), "metadata": {"n": i}} for i in range(5)])
        stats = self.call_on("getStats")
        self.assertEqual((stats["items"], stats["store"]), (5, "sqlite"))
        self.assertEqual(self.call_on("countItems")["items"], 5)
        query = "?filter=" + quote(json.dumps({"field": "n", "gte": 3}))
        self.assertEqual(self.call_on("countItems", query=query)["items"], 2)
        self.call_on("reindex")
        self.assertEqual(self.ids({"embedding": at(2), "top_k": 1}), ["2"])
        metrics = self.server.get("/metrics")[2].decode()
        self.assertIn('clipd_collection_items{collection="c"} 5\n', metrics)
        self.assertRegex(metrics, r"clipd_store_upsert_seconds_count [1-9]")
        self.assertRegex(metrics, r"clipd_store_search_seconds_count [1-9]")

    def test_404(self):
        for operation in operations:
            if operation in ("listCollections", "putCollection", "listSnapshots", "putSnapshot"):
                continue
            body = json.dumps(BODIES[operation]) if operation in BODIES else None
            self.call_on(operation, 404, body, "application/json" if body else None,
                         "?filter=%7B%22and%22%3A%5B%5D%7D", name="none")
        for operation in ("getItem", "deleteItem", "getThumbnail"):
            self.call_on(operation, 404)
            self.call_on(operation, 400, item="\x01")

    def test_405(self):
        for operation, (method, path, _) in operations.items():
            allowed = {m for m, p, _ in operations.values() if p == path}
            for wrong in {"GET", "PUT", "POST", "DELETE", "PATCH"} - allowed:
                reply = self.server.request(wrong, path.format(name="c", id="x", snapshot="s"), b"")
                self.answer(operation, 405, reply)
                found = set(reply[1]["Allow"].split(", "))
                self.assertEqual(found - {"HEAD"}, allowed)
                self.assertEqual("HEAD" in found, "GET" in allowed)

    def test_411_413_415(self):
        for operation in TAKES_BODY:
            self.check_411(self.server, operation, read_until_closed)
            self.call_on(operation, 415, b"x", "text/plain")
            self.call_on(operation, 413, b"x" * (21 << 20), "application/json")
        self.put(*[{"id": "x", "embedding": at(0)}] * 1001, status=413)
        self.put(*[{"id": str(i), "image": text(RED)} for i in range(65)], status=413)
        self.json_on("search", {"queries": [{"embedding": at(0)}] * 101}, 413)
        self.json_on("search", {"queries": [{"embedding": at(0), "top_k": 5001}] * 2}, 413)


class Items(Store):
    def test_put_get_delete(self):
        item = {"id": "a/ü 1%2F.jpg", "embedding": at(1), "text": "a dog",
                "metadata": {"cat": "x", "n": 1.5, "big": 2**53, "e": 1e300, "deep": {"l": [1, None, True]},
                             "long": "ü\"\n" + "y" * 5000, "plain": "z" * 5000},
                "thumbnail": text(RED), "digest": "01" * 32}
        self.assertEqual(self.put(item), {"inserted": 1, "updated": 0})
        self.assertEqual(self.put(item), {"inserted": 0, "updated": 1})
        found = self.call_on("getItem", item=item["id"],
                             query="?include=metadata,text,thumbnail,digest,embedding&encoding=base64")
        self.assertEqual(found, dict(item, embedding=pack(at(1))))
        found = self.call_on("getItem", item=item["id"])
        self.assertEqual(set(found), {"id", "metadata", "text", "digest"})
        self.assertEqual(set(self.call_on("getItem", item=item["id"], query="?include=")), {"id"})
        self.assertEqual(self.call_on("getThumbnail", item=item["id"]), RED)
        self.put({"id": item["id"], "embedding": pack(at(2))})
        found = self.call_on("getItem", item=item["id"])
        self.assertEqual(found, {"id": item["id"], "metadata": {}})
        self.call_on("getThumbnail", 404, item=item["id"])
        self.assertEqual(self.call_on("deleteItem", item=item["id"]), {"deleted": 1})
        self.call_on("getItem", 404, item=item["id"])
        self.assertEqual(self.ids({"embedding": at(2)}), [])

    def test_thumbnails_of_other_kinds(self):
        self.put({"id": "html", "embedding": at(0), "thumbnail": text(b"<script>alert(1)</script>")})
        status, headers, body = self.server.get("/collections/c/items/html/thumbnail")
        self.assertEqual((status, headers["Content-Type"], headers["X-Content-Type-Options"]),
                         (200, "application/octet-stream", "nosniff"))
        self.assertEqual(body, b"<script>alert(1)</script>")

    def test_images_and_texts(self):
        self.json_on("putCollection", {}, name="photos")
        items = [{"id": "red", "image": text(RED), "thumbnail": text(RED)},
                 {"id": "blue", "image": "data:image/png;base64," + text(BLUE)},
                 {"id": "said", "text": "a red square"}]
        self.json_on("upsertItems", {"items": items, "model": "starter"}, name="photos")
        for item, operation, body in (("red", "embedImage", {"image": text(RED)}),
                                      ("said", "embedText", {"text": "a red square"})):
            native = self.json(self.server, operation, 200, body)["embeddings"][0]
            found = self.call_on("getItem", name="photos", item=item, query="?include=embedding,digest")
            for a, b in zip(found["embedding"], native):
                self.assertAlmostEqual(a, b, places=6)
            self.assertEqual("digest" in found, item == "red")
        self.assertEqual(self.ids({"image": text(BLUE), "top_k": 1}, name="photos"), ["blue"])
        self.assertEqual(self.ids({"text": "a red square", "top_k": 1}, name="photos"), ["said"])

    def test_all_or_nothing(self):
        good = {"id": "good", "embedding": at(0)}
        cases = [({"id": "b"}, "/items/1"), ({"embedding": at(0)}, "/items/1/id"),
                 ({"id": 3, "embedding": at(0)}, "/items/1/id"), ("x", "/items/1"),
                 ({"id": "b", "embedding": at(0), "nonsense": 1}, "/items/1/nonsense"),
                 ({"id": "b", "embedding": ["x"] * DIM}, "/items/1/embedding"),
                 ({"id": "b", "embedding": 3}, "/items/1/embedding"),
                 ({"id": "b", "embedding": "???"}, "/items/1/embedding"),
                 ({"id": "b", "embedding": "AAAAAAA="}, "/items/1/embedding"),
                 ({"id": "b", "image": "http://x/y.png"}, "/items/1/image"),
                 ({"id": "b", "image": text(RED), "embedding": at(0)}, "/items/1"),
                 ({"id": "b", "embedding": at(0), "metadata": []}, "/items/1/metadata"),
                 ({"id": "b", "embedding": at(0), "thumbnail": "???"}, "/items/1/thumbnail"),
                 ({"id": "b", "embedding": at(0), "digest": "ff"}, "/items/1"),
                 ({"id": "", "embedding": at(0)}, "/items/1"), ({"id": "b\n", "embedding": at(0)}, "/items/1"),
                 ({"id": "x" * 513, "embedding": at(0)}, "/items/1"),
                 ({"id": "b", "embedding": [0.0] * DIM}, "/items/1"),
                 ({"id": "b", "embedding": pack([math.nan] * DIM)}, "/items/1"),
                 ({"id": "b", "embedding": at(0), "metadata": {"a": "\0"}}, "/items/1")]
        for bad, pointer in cases:
            with self.subTest(bad=bad):
                value = self.put(good, bad, status=400)
                self.assertEqual(value["index"], 1)
                self.assertEqual(value["errors"][0]["pointer"], pointer)
                self.assertEqual(self.listed(), [])
        for body, pointer in (({}, "/items"), ({"items": []}, "/items"), ({"items": {}}, "/items"),
                              ({"items": [good], "x": 1}, "/x"), ({"items": [good], "partial": 1}, "/partial")):
            value = self.json_on("upsertItems", body, 400)
            self.assertEqual(value["errors"][0]["pointer"], pointer)
        bads = [bad for bad, _ in cases if isinstance(bad, dict) and bad.get("image") != text(RED)]
        body = json.dumps({"items": [good, *bads], "partial": True})
        value = self.call_on("upsertItems", 200, body, "application/json")
        self.assertEqual((value["inserted"], len(value["errors"])), (1, len(bads)))
        self.assertEqual([error["index"] for error in value["errors"]], list(range(1, len(bads) + 1)))
        self.assertEqual(self.listed(), ["good"])

    def test_too_large(self):
        for more in ({"metadata": {"a": "x" * 70000}}, {"text": "x" * 70000},
                     {"thumbnail": text(b"x" * (1 << 20) + b"x")}):
            self.put({"id": "b", "embedding": at(0), **more}, status=413)

    def test_bad_images(self):
        self.json_on("putCollection", {}, name="photos")
        bad = {"items": [{"id": "a", "image": text(RED)}, {"id": "b", "image": text(RED[:60])}]}
        value = self.json_on("upsertItems", bad, 422, name="photos")
        self.assertEqual((value["index"], value["errors"][0]["pointer"]), (1, "/items/1"))
        value = self.json_on("upsertItems", dict(bad, partial=True), name="photos")
        self.assertEqual((value["inserted"], value["errors"][0]["status"]), (1, 422))

    def test_another_model(self):
        good = {"id": "good", "embedding": at(0)}
        for model in (DIGEST, ""):
            self.put(good, model=model)
        for model in ("starter", "cd" * 32):
            value = self.put(good, model=model, status=409)
            self.assertEqual(value["errors"][0]["pointer"], "/model")
            self.call_on("upsertItems", 409, json.dumps({"items": [good]}), "application/json",
                         "?model=" + model)
        self.put(good, model="nobody", status=404)
        self.put({"id": "b", "embedding": [1.0] * (DIM + 1)}, status=409)
        self.put({"id": "b", "embedding": pack([1.0] * (DIM - 1))}, status=409)
        # Nothing that is loaded has this collection's digest.
        self.put({"id": "b", "text": "a dog"}, status=409)
        self.json_on("search", {"text": "a dog"}, 409)
        self.json_on("search", {"embedding": [1.0] * 3}, 409)

    def test_the_last_of_equal_ids_counts(self):
        self.put({"id": "x", "embedding": at(0)}, {"id": "x", "embedding": at(1), "metadata": {"n": 2}})
        self.assertEqual(self.call_on("getItem")["metadata"], {"n": 2})

    def test_ndjson(self):
        lines = [json.dumps({"id": f"{i:03}", "embedding": pack(at(i))}) for i in range(600)]
        lines[300] = "not json"
        lines[301] = '{"id": "x"}'
        lines[599] = "[]"
        body = "\n".join(lines).encode()
        values = self.call_on("upsertItems", 200, body, "application/x-ndjson")
        self.assertEqual(values[-1], {"total": {"inserted": 597, "updated": 0, "failed": 3}})
        self.assertEqual([(v["line"], v["lines"]) for v in values[:-1]], [(1, 256), (257, 256), (513, 88)])
        self.assertEqual([e["line"] for v in values[:-1] for e in v["errors"]], [301, 302, 600])
        values = self.call_on("upsertItems", 200, body + b"\n", "application/x-ndjson")
        self.assertEqual(values[-1], {"total": {"inserted": 0, "updated": 597, "failed": 3}})
        values = self.call_on("upsertItems", 200, b"", "application/x-ndjson")
        self.assertEqual(values, [{"total": {"inserted": 0, "updated": 0, "failed": 0}}])

    def test_npy(self):
        rows = [at(i) for i in range(300)]
        value = self.call_on("upsertItems", 200, npy(rows), "application/x-npy", "?prefix=r")
        self.assertEqual(value, {"inserted": 300, "updated": 0})
        self.assertEqual(self.ids({"embedding": at(7), "top_k": 1}), ["r7"])
        for bad in (b"", b"\x93NUMPY", npy(rows)[:-1], npy(rows, descr="<f8"), npy(rows, order="True"),
                    npy([[0.0] * DIM]), npy(rows, data=b""), b"x" * 200,
                    npy(rows).replace(b"(300,", b"(999999999999999,")):
            self.call_on("upsertItems", 400, bad, "application/x-npy")
        self.call_on("upsertItems", 409, npy([[1.0] * 3], 3), "application/x-npy")

    def test_pages(self):
        self.put(*[{"id": f"{i:03}", "embedding": at(i), "metadata": {"n": i}} for i in range(250)])
        ids, after = [], ""
        while after is not None:
            page = self.call_on("listItems", query=f"?limit=40&after={after}&include=")
            ids += [item["id"] for item in page["items"]]
            after = page["next"]
        self.assertEqual(ids, [f"{i:03}" for i in range(250)])
        for query in ("?limit=0", "?limit=1001", "?limit=x", "?limit=", "?include=all", "?encoding=hex",
                      "?filter=x", "?filter=[]", "?filter=%7B%22a%22%3A1%7D"):
            self.call_on("listItems", 400, query=query)
        self.call_on("getItem", 400, query="?include=x")

    def test_delete_where(self):
        self.put(*[{"id": f"{i}", "embedding": at(i), "metadata": {"n": i}} for i in range(6)])
        self.call_on("deleteItems", 400)
        query = "?filter=" + quote(json.dumps({"field": "n", "in": [1, 4, 99]}))
        self.assertEqual(self.call_on("deleteItems", query=query), {"deleted": 2})
        self.assertEqual(self.listed(), ["0", "2", "3", "5"])
        query = "?filter=" + quote('{"and": []}')
        self.assertEqual(self.call_on("deleteItems", query=query), {"deleted": 4})

    def test_export_and_import(self):
        items = [{"id": f"{i:04}/ä", "embedding": pack(at(i)), "metadata": {"n": i, "s": "\u2028ü\""}}
                 for i in range(700)]
        items[5].update(text="a dog", thumbnail=text(RED), digest="0f" * 32)
        self.call_on("upsertItems", 200, "\n".join(map(json.dumps, items)).encode(), "application/x-ndjson")
        status, headers, body = self.server.get("/collections/c/export")
        self.assertEqual(headers["Transfer-Encoding"], "chunked")
        lines = self.answer("exportItems", 200, (status, headers, body))
        self.assertEqual([line["id"] for line in lines], [item["id"] for item in items])
        self.assertEqual(lines[5], items[5])
        spec = {"model": "other", "model_digest": DIGEST, "dim": DIM}
        self.json_on("putCollection", spec, name="copy")
        self.call_on("upsertItems", 200, body, "application/x-ndjson", name="copy")
        self.assertEqual(self.server.get("/collections/copy/export")[2], body)
        array = self.call_on("exportItems", query="?format=npy")
        self.assertEqual(array, npy([list(struct.unpack(f"<{DIM}f", base64.b64decode(i["embedding"])))
                                     for i in items]))
        few = "?include=&filter=" + quote(json.dumps({"field": "n", "lt": 3}))
        self.assertEqual([line["id"] for line in self.call_on("exportItems", query=few)],
                         [item["id"] for item in items[:3]])
        for query in ("?format=csv", "?filter=x", "?include=x"):
            self.call_on("exportItems", 400, query=query)

    def test_it_is_there_after_a_crash(self):
        self.put({"id": "x", "embedding": at(1), "metadata": {"n": 1}})
        self.server.kill()
        self.server.log_file.close()
        self.start()
        self.assertEqual(self.call_on("getItem")["metadata"], {"n": 1})
        self.assertEqual(self.ids({"embedding": at(1)}), ["x"])


class Searches(Store):
    def setUp(self):
        super().setUp()
        self.put(*[{"id": f"{i}", "embedding": at(i * 0.1), "text": f"number {i} dog" if i % 2 else "",
                    "metadata": {"n": i, "cat": "abc"[i % 3], "tags": ["t%d" % (i % 2)],
                                 "deep": {"ok": i == 3}}} for i in range(10)])

    def test_scores_and_order(self):
        hits = self.hits({"embedding": at(0), "top_k": 3, "offset": 2, "include": []})
        self.assertEqual([(hit["rank"], hit["id"]) for hit in hits], [(2, "2"), (3, "3"), (4, "4")])
        for hit, angle in zip(hits, (0.2, 0.3, 0.4)):
            self.assertAlmostEqual(hit["score"], math.cos(angle), places=5)
        self.assertEqual(self.ids({"embedding": pack(at(0)), "score_min": math.cos(0.25)}),
                         ["0", "1", "2"])
        self.assertEqual(self.ids({"id": "9", "top_k": 2, "exact": True, "effort": 10}), ["9", "8"])
        hit = self.hits({"id": "9", "top_k": 1, "encoding": "base64",
                         "include": ["embedding", "text", "digest", "thumbnail"]})[0]
        self.assertEqual(hit["embedding"], pack(at(0.9)))

    def test_several_queries(self):
        value = self.json_on("search", {"queries": [
            {"embedding": at(0), "top_k": 1}, {"embedding": at(0), "filter": {"or": []}},
            {"id": "5", "top_k": 2}, {"embedding": at(0), "score_min": 2}]})
        self.assertEqual([[hit["id"] for hit in result["hits"]] for result in value["results"]],
                         [["0"], [], ["5", "4"], []])

    def test_mixture(self):
        value = {"mixture": [{"id": "0"}, {"embedding": at(0.9), "weight": 1}], "top_k": 2}
        self.assertEqual(set(self.ids(value)), {"4", "5"})
        value = {"mixture": [{"id": "4"}, {"id": "0", "weight": -0.9}], "top_k": 1}
        self.assertEqual(self.ids(value), ["9"])
        # The lengths of given embeddings do not weigh.
        value = {"mixture": [{"id": "0"}, {"embedding": [100 * x for x in at(0.9)]}], "top_k": 2}
        self.assertEqual(set(self.ids(value)), {"4", "5"})

    def test_mixture_of_a_model(self):
        self.json_on("putCollection", {}, name="photos")
        self.json_on("upsertItems", {"items": [{"id": "red", "image": text(RED)},
                                               {"id": "blue", "image": text(BLUE)}]}, name="photos")
        terms = [{"text": "a dog"}, {"image": text(BLUE), "weight": 0.5}, {"id": "red", "weight": -0.25}]
        hits = self.hits({"mixture": terms}, name="photos")
        parts = [self.json(self.server, "embedText", 200, {"text": "a dog"})["embeddings"][0],
                 self.json(self.server, "embedImage", 200, {"image": text(BLUE)})["embeddings"][0],
                 self.json(self.server, "embedImage", 200, {"image": text(RED)})["embeddings"][0]]
        mixed = [a + 0.5 * b - 0.25 * c for a, b, c in zip(*parts)]
        length = math.sqrt(sum(x * x for x in mixed))
        expected = {"red": parts[2], "blue": parts[1]}
        for hit in hits:
            score = sum(a * b for a, b in zip(mixed, expected[hit["id"]])) / length
            self.assertAlmostEqual(hit["score"], score, places=5)

    def test_filters(self):
        def field(name, **more):
            return dict({"field": name}, **more)
        cases = [
            (field("cat", eq="a"), "0369"), (field("n", eq=4), "4"), (field("n", gte=2, lt=5), "234"),
            (field("n", gt=7), "89"), (field("n", lte=1), "01"), (field("cat", gt="a", lte="b"), "147"),
            (field("cat", **{"in": ["b", "c"]}), "124578"), (field("tags", eq="t1"), "13579"),
            (field("deep.ok", eq=True), "3"), (field("none", exists=True), ""),
            (field("none", exists=False), "0123456789"), ({"and": []}, "0123456789"), ({"or": []}, ""),
            ({"and": [field("cat", eq="a"), field("n", gt=3)]}, "69"),
            ({"or": [field("n", eq=1), field("n", eq=2)]}, "12"),
            ({"not": field("cat", eq="a")}, "124578"), ({"not": {"not": field("n", eq=3)}}, "3"),
            (field("n", eq="4"), ""), (field("cat", **{"in": []}), ""), (None, "0123456789")]
        for condition, expected in cases:
            with self.subTest(condition=condition):
                body = {"embedding": at(0), "include": []}
                body.update({"filter": condition} if condition else {})
                self.assertEqual("".join(sorted(self.ids(body))), expected)

    def test_bad_filters(self):
        def field(**more):
            return dict({"field": "n"}, **more)
        deep = field(eq=1)
        for _ in range(17):
            deep = {"not": deep}
        cases = [
            (3, "/filter"), ({}, "/filter/field"), (field(), "/filter"), (field(eq=None), "/filter/eq"),
            (field(eq=[1]), "/filter/eq"), (field(**{"in": 1}), "/filter/in"), (field(eq=1, gt=1), "/filter"),
            (field(gt=1, gte=1), "/filter/gte"), (field(gt=True), "/filter"), (field(gt=1, lt="x"), "/filter"),
            (field(exists=1), "/filter/exists"), (field(eq=1, nq=1), "/filter/nq"),
            ({"field": "", "eq": 1}, "/filter/field"), ({"field": "a..b", "eq": 1}, "/filter/field"),
            ({"field": "a\"b", "eq": 1}, "/filter/field"), ({"field": "x" * 201, "eq": 1}, "/filter/field"),
            ({"field": "a\0b", "eq": 1}, "/filter/field"), ({"field": 1, "eq": 1}, "/filter/field"),
            ({"and": {}}, "/filter/and"), ({"and": [1]}, "/filter/and/0"),
            ({"and": [], "or": []}, "/filter/or"), ({"not": []}, "/filter/not"),
            ({"or": [field(eq=1), {"not": field(**{"in": [1, {}]})}]}, "/filter/or/1/not/in/1"),
            ({"and": [field(eq=1)] * 256}, "/filter/and"), (field(**{"in": [1] * 4097}), "/filter/in"),
            (deep, "/filter")]
        for condition, pointer in cases:
            with self.subTest(condition=condition):
                value = self.json_on("search", {"embedding": at(0), "filter": condition}, 400)
                self.assertEqual(value["errors"][0]["pointer"], pointer)

    def test_words(self):
        hits = self.hits({"words": "number dog", "top_k": 20})
        self.assertEqual(sorted(hit["id"] for hit in hits), list("13579"))
        hits = self.hits({"embedding": at(0), "words": "dog", "words_weight": 0.9, "top_k": 5})
        self.assertEqual(sorted(hit["id"] for hit in hits), list("13579"))
        self.assertEqual(self.ids({"embedding": at(0), "words": "dog", "words_weight": 0})[0], "0")

    def test_bad_searches(self):
        cases = [({}, "/text"), ({"text": 1}, "/text"), ({"typo": 1}, "/typo"), ({"id": ""}, None),
                 ({"text": "a", "id": "1"}, "/text"), ({"id": "1", "top_k": 0}, "/top_k"),
                 ({"id": "1", "top_k": 10001}, "/top_k"), ({"id": "1", "offset": 9995}, "/top_k"),
                 ({"id": "1", "offset": -1}, "/offset"), ({"id": "1", "effort": 0}, "/effort"),
                 ({"id": "1", "exact": 1}, "/exact"), ({"id": "1", "score_min": "x"}, "/score_min"),
                 ({"id": "1", "words": "x", "words_weight": 2}, "/words_weight"),
                 ({"id": "1", "words": 2}, "/words"), ({"id": "1", "include": ["x"]}, "/include/0"),
                 ({"id": "1", "include": "x"}, "/include"), ({"id": "1", "encoding": "x"}, "/encoding"),
                 ({"mixture": []}, "/mixture"), ({"mixture": {}}, "/mixture"),
                 ({"mixture": [{"id": "1"}] * 17}, "/mixture"), ({"mixture": [{}]}, "/mixture/0"),
                 ({"mixture": [{"id": "1", "weight": "x"}]}, "/mixture/0/weight"),
                 ({"mixture": [{"id": "1", "weight": 1e9}]}, "/mixture/0/weight"),
                 ({"mixture": [{"id": "1", "x": 1}]}, "/mixture/0/x"),
                 ({"mixture": [{"id": "1"}], "id": "1"}, "/mixture"),
                 ({"mixture": [{"id": "1"}, {"id": "1", "weight": -1}]}, "/mixture/1/id"),
                 ({"embedding": [0.0] * DIM}, "/embedding"), ({"embedding": ["x"] * DIM}, "/embedding"),
                 ({"image": "http://x/y"}, "/image"), ({"queries": []}, "/queries"),
                 ({"queries": {}}, "/queries"), ({"queries": [{"id": "1"}], "top_k": 1}, "/top_k"),
                 ({"queries": [{"id": "1"}, {"include": []}]}, "/queries/1/include"),
                 ({"queries": [{"id": "1"}, {"mixture": [{"id": "1"}, {"id": 2}]}]},
                  "/queries/1/mixture/1/id")]
        for body, pointer in cases:
            with self.subTest(body=body):
                value = self.json_on("search", body, 400)
                if pointer:
                    self.assertEqual(value["errors"][0]["pointer"], pointer)
        value = self.json_on("search", {"queries": [{"id": "1"}, {"id": "nobody"}]}, 404)
        self.assertEqual(value["errors"][0]["pointer"], "/queries/1/id")
        for body in (b"", b"{", b"[]", b"[" * 100000):
            self.call_on("search", 400, body, "application/json")

    def test_bad_image(self):
        self.json_on("putCollection", {}, name="photos")
        value = self.json_on("search", {"queries": [{"text": "a"}, {"image": text(RED[:60])}]}, 422,
                             name="photos")
        self.assertEqual(value["errors"][0]["pointer"], "/queries/1/image")


class Duplicates(Store):
    def find(self, **body):
        values = self.json_on("findDuplicates", body)
        clusters = [(v["tier"], [i["id"] for i in v["items"]]) for v in values[:-1]]
        return clusters, values[-1]["total"]

    def test_clusters(self):
        def item(name, angle, digest=None, **metadata):
            return dict({"id": name, "embedding": at(angle), "metadata": metadata},
                        **({"digest": digest * 32} if digest else {}))
        self.put(item("a1", 0, "0a"), item("b", 0.5), item("a2", 0, "0a"), item("c1", 1, "0c"),
                 item("c2", 1.01, n=1), item("c3", 1.02, "0c", n=1), item("d", 2), item("c4", 1.03))
        clusters, total = self.find(threshold=0.999)
        self.assertEqual(clusters, [("file", ["a1", "a2"]), ("file", ["c1", "c3"]),
                                    ("embedding", ["c1", "c2", "c3", "c4"])])
        self.assertEqual(total, {"items": 8, "clusters": 3})
        self.assertEqual(self.find(threshold=0.999, tiers=["file"])[0], clusters[:2])
        self.assertEqual(self.find(threshold=0.999, tiers=["embedding"])[0],
                         [("embedding", ["a1", "a2"]), clusters[2]])
        clusters, total = self.find(threshold=0.999, filter={"field": "n", "eq": 1})
        self.assertEqual((clusters, total["items"]), ([("embedding", ["c2", "c3"])], 2))
        self.assertEqual(self.find(threshold=1)[0][0], ("file", ["a1", "a2"]))
        values = self.json_on("findDuplicates", {"threshold": 0.999, "tiers": ["embedding"]})
        score = values[1]["items"][0]["score"]
        self.assertAlmostEqual(score, math.cos(0.01), places=5)

    def test_many(self):
        chance = random.Random(4)
        rows = [[chance.gauss(0, 1) for _ in range(DIM)] for _ in range(400)]
        copies = {i: chance.randrange(400) for i in range(400, 700)}
        rows += [[x * 1.0001 for x in rows[copies[i]]] for i in range(400, 700)]
        self.call_on("upsertItems", 200, npy(rows), "application/x-npy")
        expected = {}
        for i in range(700):
            expected.setdefault(copies.get(i, i), set()).add(str(i))
        clusters, total = self.find(threshold=0.99999)
        self.assertEqual(sorted(sorted(ids) for _, ids in clusters),
                         sorted(sorted(ids) for ids in expected.values() if len(ids) > 1))
        self.assertEqual(total["items"], 700)

    def test_bad(self):
        for body, pointer in (({"threshold": 0}, "/threshold"), ({"threshold": 1.1}, "/threshold"),
                              ({"threshold": "x"}, "/threshold"), ({"tiers": []}, "/tiers"),
                              ({"tiers": ["x"]}, "/tiers/0"), ({"x": 1}, "/x"), ({"filter": 1}, "/filter")):
            value = self.json_on("findDuplicates", body, 400)
            self.assertEqual(value["errors"][0]["pointer"], pointer)
        self.assertEqual(self.find(), ([], {"items": 0, "clusters": 0}))


class Snapshots(Store):
    def test_there_and_back(self):
        self.put({"id": "a", "embedding": at(0)}, {"id": "b", "embedding": at(1), "metadata": {"n": 1}})
        made = self.call_on("putSnapshot", name="monday")
        self.put({"id": "a", "embedding": at(2)}, {"id": "c", "embedding": at(3)})
        self.call_on("putSnapshot", name="tuesday")
        self.assertEqual([s["name"] for s in self.call_on("listSnapshots")["snapshots"]],
                         ["monday", "tuesday"])
        file = self.call_on("getSnapshot", name="monday")
        self.assertEqual((len(file), file[:15]), (made["bytes"], b"SQLite format 3"))
        self.assertEqual(self.json_on("restoreCollection", {"snapshot": "monday"}), {"items": 2})
        self.assertEqual(self.listed(), ["a", "b"])
        self.assertEqual(self.ids({"embedding": at(0), "top_k": 1}), ["a"])
        self.assertEqual(self.call_on("getItem", item="b")["metadata"], {"n": 1})
        self.call_on("deleteCollection")
        self.assertEqual(self.json_on("restoreCollection", {"snapshot": "tuesday"}), {"items": 3})
        self.json_on("restoreCollection", {"snapshot": "tuesday"}, 404, name="other")
        for name in ("monday", "tuesday"):
            self.call_on("deleteSnapshot", name=name)
            self.call_on("deleteSnapshot", 404, name=name)
            self.json_on("restoreCollection", {"snapshot": name}, 404)
        self.assertEqual(os.listdir(self.folder + "/store/snapshots"), [])

    def test_names_are_no_paths(self):
        for name in ("../store", ".hidden", "a/b", "/etc/passwd", "ä", "x" * 65):
            for operation in ("putSnapshot", "getSnapshot", "deleteSnapshot"):
                self.call_on(operation, 400, name=name)
            self.json_on("restoreCollection", {"snapshot": name}, 400)
        for body in ({}, {"snapshot": 1}, {"snapshot": "a\0b"}, {"snapshot": "x", "path": "y"}):
            self.json_on("restoreCollection", body, 400)


class States(Contract):
    def test_without_a_store(self):
        with Server(MODEL) as server:
            ready(server)
            self.call(server, "listSnapshots", 404)
            self.call(server, "putSnapshot", 404)
            value = self.call(server, "listCollections", 404)
            self.assertIn("store.location", value["detail"])
            self.assertNotIn("clipd_store", server.get("/metrics")[2].decode())

    def test_503_while_loading(self):
        with tempfile.TemporaryDirectory() as folder:
            pipe, config = os.path.join(folder, "vocab.json"), os.path.join(folder, "clipd.yaml")
            os.mkfifo(pipe)
            with open(config, "w", encoding="utf-8") as file:
                file.write(f"models:\n  - path: {MODEL}\n    vocab: {pipe}\n"
                           f"store:\n  location: {folder}/store\n")
            with Server(args=["--config", config]) as server:
                for operation in operations:
                    body = json.dumps(BODIES[operation]) if operation in BODIES else None
                    self.call(server, operation, 503, body, "application/json" if body else None)

    def test_504(self):
        with tempfile.TemporaryDirectory() as folder:
            args = setting("store.location", folder + "/store") + setting("limits.deadline", "1ms")
            with Server(MODEL, args=args) as server:
                ready(server)
                server.request("PUT", "/collections/c", b"{}", {"Content-Type": "application/json"})
                big = text(png(2000, 2000))
                # More than there are decoders.
                many = [{"image": big} for _ in range(2 * (os.cpu_count() or 1) + 2)]
                self.json(server, "search", 504, {"queries": many}, path={"name": "c"})
                items = [dict(item, id=str(i)) for i, item in enumerate(many)]
                self.json(server, "upsertItems", 504, {"items": items}, path={"name": "c"})

    def test_two_servers_cannot_have_one_store(self):
        with tempfile.TemporaryDirectory() as folder:
            args = setting("store.location", folder + "/store")
            with Server(MODEL, args=args) as server:
                ready(server)
                second = Server(MODEL, args=args)
                with second:
                    deadline = time.monotonic() + 30
                    while second.alive() and time.monotonic() < deadline:
                        time.sleep(0.02)
                    self.assertFalse(second.alive())
                    log = second.log()
                    second.process.returncode = 0
                self.assertIn("the store of collections: ", log)

    def test_a_password_is_not_told(self):
        secret = "postgresql://me:hunter2@127.0.0.1:1/base?connect_timeout=1"
        with Server(MODEL, args=setting("store.location", secret)) as server:
            deadline = time.monotonic() + 30
            while server.alive() and time.monotonic() < deadline:
                time.sleep(0.02)
            self.assertFalse(server.alive())
            log = server.log()
            server.process.returncode = 0
        self.assertIn("the store of collections: ", log)
        self.assertNotIn("hunter2", log)


class Zz(unittest.TestCase):
    def test_every_status_was_seen(self):
        self.assertEqual(contract.unseen(operations), set())


if __name__ == "__main__":
    unittest.main(verbosity=1)
