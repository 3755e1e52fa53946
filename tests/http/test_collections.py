"""Collections over HTTP, row by row of openapi.yaml: what is put in is there, again after a
crash; wrong input of every kind; pages, exports, snapshots. Searches are test_search.py's.

test_every_status_was_seen runs last, as in test_api.py."""

import base64
import json
import math
import os
import shutil
import struct
import tempfile
import time
import unittest
from urllib.parse import quote

import contract
import schema
from contract import Contract, document, loading_server, ready, setting
from harness import Server, read_until_closed
from images import png, text
from store import (ANEW_STATUSES, BLUE, BODIES, DIGEST, DIM, MODEL, MODEL_STATUSES, POSTGRES_STATUSES, RED,
                   SEARCH_STATUSES, TAKES_BODY, Store, at, npy, operations, pack)


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
                      dict(spec, model_digest=DIGEST, dim=192)):
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

    def test_unknown_parameters(self):
        self.put({"id": "kept", "embedding": at(0)})
        self.check_unknown_parameters(self.server, operations)
        self.call_on("deleteCollection", 400, query="?filter=%7B%7D")
        self.assertEqual(self.call_on("countItems")["items"], 1)

    def test_content_encoding(self):
        for operation in TAKES_BODY:
            self.check_content_encoding(self.server, operation, "application/json")
        for kind in ("application/x-ndjson", "application/x-npy"):
            self.check_content_encoding(self.server, "upsertItems", kind)

    def test_stats_count_reindex(self):
        self.put(*[{"id": f"{i}", "embedding": at(i), "metadata": {"n": i}} for i in range(5)])
        stats = self.call_on("getStats")
        self.assertEqual((stats["items"], stats["store"]), (5, self.store))
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
            query = "?filter=%7B%22and%22%3A%5B%5D%7D" if operation == "deleteItems" else ""
            self.call_on(operation, 404, body, "application/json" if body else None, query, name="none")
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

    def test_bodies_that_nobody_needs(self):
        for operation in operations:
            if operation not in TAKES_BODY:
                self.call_on(operation, 413, b" " * 4097)
        for body in (None, b"", b"{}", b" " * 4096):
            self.call_on("reindex", 200, body, "application/json")
            self.call_on("getCollection", 200, body)
            self.call_on("deleteItem", 404, body, "application/json")


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
        # The digest of one that is, with dimensions that are not its own.
        digest = json.loads(self.server.get("/models")[2])["models"][0]["sha256"]
        for dim in (8, 4096):
            self.json_on("putCollection", {"model": "starter", "model_digest": digest, "dim": dim},
                         name=f"of-{dim}")
            for value in ({"text": "a dog"}, {"image": text(RED)}):
                self.json_on("upsertItems", {"items": [dict(value, id="b")]}, 409, name=f"of-{dim}")
                self.json_on("search", value, 409, name=f"of-{dim}")

    def test_items_without_a_source(self):
        """Are refused by the server as by the schema, metadata of what is there included."""
        self.put({"id": "x", "embedding": at(0)})
        new_item = {"$ref": "#/components/schemas/NewItem"}
        for item, good in (({"id": "x"}, False), ({"id": "x", "metadata": {"n": 1}}, False),
                           ({"id": "x", "embedding": at(0)}, True)):
            self.assertEqual(schema.fits(document, new_item, item, ""), good)
            values = self.call_on("upsertItems", 200, json.dumps(item), "application/x-ndjson")
            self.assertEqual(values[-1]["total"]["failed"], int(not good))

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

    def test_ndjson_with_blank_lines(self):
        lines = [json.dumps({"id": str(i), "embedding": at(i)}).encode() for i in range(3)]
        body = b"\xef\xbb\xbf" + b"\r\n".join([lines[0], b"", b" \t", lines[1], b"?", b"", lines[2], b"", b""])
        values = self.call_on("upsertItems", 200, body, "application/x-ndjson")
        self.assertEqual(values[-1], {"total": {"inserted": 3, "updated": 0, "failed": 1}})
        self.assertEqual([(v["line"], v["lines"], [e["line"] for e in v["errors"]]) for v in values[:-1]],
                         [(1, 8, [5])])
        body = b"\n" * 300 + lines[0] + b"\n\xef\xbb\xbf" + lines[1] + b"\n\v\n\n"
        values = self.call_on("upsertItems", 200, body, "application/x-ndjson")
        self.assertEqual(values[-1], {"total": {"inserted": 0, "updated": 1, "failed": 2}})
        self.assertEqual([(v["line"], v["lines"], [e["line"] for e in v["errors"]]) for v in values[:-1]],
                         [(1, 256, []), (257, 48, [302, 303])])
        for body in (b"\xef\xbb\xbf", b"\n"):
            values = self.call_on("upsertItems", 200, body, "application/x-ndjson")
            self.assertEqual(values[-1], {"total": {"inserted": 0, "updated": 0, "failed": 0}})

    def test_texts_that_are_cut(self):
        long = "a " * 100
        self.json_on("putCollection", {}, name="photos")
        whole, cut = {"id": "a", "text": "a dog"}, {"id": "b", "text": long}
        beside = {"id": "c", "image": text(RED), "text": long}  # which is not what it is found by
        for partial in (False, True):
            errors = {"errors": []} if partial else {}
            answers = [self.json_on("upsertItems", {"items": items, "partial": partial}, name="photos")
                       for items in ([whole, cut, beside], [whole, beside])]
            self.assertEqual(answers, [
                {"inserted": 0 if partial else 3, "updated": 3 if partial else 0, "truncated": [False, True, False]}
                | errors, {"inserted": 0, "updated": 2} | errors])
        lines = [json.dumps({"id": str(i), "text": long if i in (1, 300) else "a dog"}) for i in range(301)]
        values = self.call_on("upsertItems", 200, "\n".join(lines).encode(), "application/x-ndjson", name="photos")
        self.assertEqual([[v["line"] + i for i, cut in enumerate(v["truncated"]) if cut] for v in values[:-1]],
                         [[2], [301]])
        self.assertEqual([len(v["truncated"]) for v in values[:-1]], [256, 45])
        self.assertEqual(values[-1]["total"]["truncated"], 2)
        values = self.call_on("upsertItems", 200, lines[0].encode(), "application/x-ndjson", name="photos")
        self.assertEqual(values, [{"line": 1, "lines": 1, "inserted": 0, "updated": 1, "errors": []},
                                  {"total": {"inserted": 0, "updated": 1, "failed": 0}}])

    def test_ndjson_of_any_length(self):
        """More than a body may have otherwise, sent in chunks as it is made; of its lines only
        the memory for a few megabytes is taken."""
        total, note = 16000, "x" * 2000
        sent = (json.dumps({"id": f"{i:05}", "embedding": pack(at(i)), "metadata": {"n": note}}).encode() + b"\n"
                for i in range(total))
        values = self.call_on("upsertItems", 200, sent, "application/x-ndjson")
        self.assertEqual(values[-1], {"total": {"inserted": total, "updated": 0, "failed": 0}})
        self.assertEqual(sum(value["lines"] for value in values[:-1]), total)
        self.assertEqual(self.call_on("countItems"), {"items": total})

    def test_ndjson_that_cannot_go_on(self):
        good = json.dumps({"id": "a", "embedding": pack(at(1))}).encode() + b"\n"
        endless = b'{"id": "b", "text": "' + b"x" * (21 << 20)
        problem = self.call_on("upsertItems", 413, good + endless, "application/x-ndjson")
        self.assertEqual(problem["detail"], "lines 1 to 1 are in, the others are not: "
                         "line 2 has more than 20971520 bytes")
        self.assertEqual(self.listed(), ["a"])
        self.call_on("upsertItems", 404, good, "application/x-ndjson", name="none")
        many_bad = b"[]\n" * 60000
        values = self.call_on("upsertItems", 200, many_bad, "application/x-ndjson")
        total = values[-1]["total"]
        self.assertEqual(total["failed"], 60000)
        self.assertEqual(total["batches_unreported"] + len(values) - 1, -(-60000 // 256))

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
        rows[280] = [0.0] * DIM
        problem = self.call_on("upsertItems", 400, npy(rows), "application/x-npy", "?prefix=s")
        self.assertIn("rows 0 to 255 are in, the others are not: row 280: ", problem["detail"])
        self.call_on("getItem", item="s255")
        self.call_on("getItem", 404, item="s256")

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

    def test_failures_are_told(self):
        folder = self.folder + "/store/snapshots"
        os.makedirs(folder + "/kept.sqlite")
        self.call_on("deleteSnapshot", 500, name="kept")
        self.assertEqual(os.listdir(folder), ["kept.sqlite"])
        os.symlink("loop.sqlite", folder + "/loop.sqlite")
        self.call_on("getSnapshot", 500, name="loop")
        self.json_on("restoreCollection", {"snapshot": "loop"}, 500)
        with open(folder + "/text.sqlite", "w", encoding="utf-8") as file:
            file.write("This is no database. " * 500)
        problem = self.json_on("restoreCollection", {"snapshot": "text"}, 422)
        self.assertIn("the snapshot", problem["detail"])
        self.assertNotIn(self.folder, problem["detail"])
        shutil.rmtree(folder)
        self.assertEqual(self.call_on("listSnapshots"), {"snapshots": []})
        with open(folder, "wb"):
            pass
        try:
            self.call_on("listSnapshots", 500)
            self.call_on("putSnapshot", 500, name="new")
        finally:
            os.remove(folder)

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
        with loading_server(MODEL, store=True) as server:
            for operation in operations:
                body = json.dumps(BODIES[operation]) if operation in BODIES else None
                self.call(server, operation, 503, body, "application/json" if body else None)

    def test_as_many_as_there_may_be(self):
        with tempfile.TemporaryDirectory() as folder:
            args = (setting("store.location", folder + "/store") + setting("limits.collections_max", "2")
                    + setting("limits.snapshots_max", "1"))
            with Server(MODEL, args=args) as server:
                ready(server)
                for name in "ab":
                    self.json(server, "putCollection", 200, {}, path={"name": name})
                problem = self.json(server, "putCollection", 409, {}, path={"name": "c"})
                self.assertIn("the limit is 2", problem["detail"])
                self.json(server, "putCollection", 200, {}, path={"name": "a"})
                self.call(server, "putSnapshot", 200, path={"snapshot": "x"})
                self.call(server, "putSnapshot", 200, path={"snapshot": "x"})
                problem = self.call(server, "putSnapshot", 409, path={"snapshot": "y"})
                self.assertIn("the limit is 1", problem["detail"])
                for name, status in (("c", 409), ("b", 200)):
                    self.json(server, "restoreCollection", status, {"snapshot": "x"}, path={"name": name})
                self.call(server, "deleteCollection", 200, path={"name": "a"})
                self.json(server, "putCollection", 200, {}, path={"name": "c"})

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

    def test_filters_that_take_too_long(self):
        slow = {"or": [{"field": f"f{i}", "eq": "x"} for i in range(120)]}
        with tempfile.TemporaryDirectory() as folder:
            args = setting("store.location", folder + "/store") + setting("store.timeout", "1ms")
            with Server(MODEL, args=args) as server:
                ready(server)
                path = {"name": "c"}
                self.json(server, "putCollection", 200, {"model": "m", "model_digest": DIGEST, "dim": DIM},
                          path=path)
                for i in range(4):
                    items = [{"id": f"{i}-{n}", "embedding": at(n), "metadata": {"n": n, "a": "b" * 500}}
                             for n in range(1000)]
                    self.json(server, "upsertItems", 200, {"items": items}, path=path)
                for operation in ("countItems", "listItems", "deleteItems"):
                    problem = self.call(server, operation, 504, query="?filter=" + quote(json.dumps(slow)),
                                        path=path)
                    self.assertIn("store.timeout", problem["detail"])
                self.json(server, "search", 504, {"embedding": at(0), "filter": slow}, path=path)
                # Nothing was deleted, and all goes on.
                self.assertEqual(self.call(server, "countItems", 200, path=path), {"items": 4000})

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
        elsewhere = SEARCH_STATUSES | MODEL_STATUSES | POSTGRES_STATUSES | ANEW_STATUSES
        self.assertEqual(contract.unseen(operations) - elsewhere, set())


if __name__ == "__main__":
    unittest.main(verbosity=1)
