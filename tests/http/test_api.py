"""The contract, row by row: every operation of openapi.yaml in every form it accepts,
every status it documents, every answer held against its schema.

test_every_status_was_seen runs last and fails for a documented status that nothing
provoked, so a row cannot be forgotten.
"""

import base64
import json
import os
import struct
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

import contract
import schema
from contract import Contract, document, loading_server, ready, setting
from harness import Server, multipart, read_until_closed
from images import png, text

MODEL = "models/starter"
RED = png(40, 30)
BLUE = png(40, 30, (10, 20, 220))

# Those of collections have a file of their own.
operations = {name: row for name, row in contract.operations.items()
              if "collections" not in row[2]["tags"]}


class Answers(Contract):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(MODEL).__enter__()
        ready(cls.server)

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def test_image_in_every_form(self):
        forms = [
            self.call(self.server, "embedImage", 200, RED, kind)
            for kind in ("image/png", "image/jpeg", "application/octet-stream", None)
        ]
        form, kind = multipart([("image", "a.png", "image/png", RED)])
        forms.append(self.call(self.server, "embedImage", 200, form, kind))
        for image in ({"base64": text(RED)}, text(RED), "data:image/png;base64," + text(RED)):
            forms.append(self.json(self.server, "embedImage", 200, {"images": [image]}))
        forms.append(self.json(self.server, "embedImage", 200, {"image": text(RED)}))
        for value in forms:
            self.assertEqual(value, forms[0])
        self.assertEqual(forms[0]["model"], "starter")
        self.assertEqual(forms[0]["dim"], len(forms[0]["embeddings"][0]))
        self.assertAlmostEqual(sum(x * x for x in forms[0]["embeddings"][0]), 1, places=5)

    def test_options_in_every_place(self):
        plain = self.call(self.server, "embedImage", 200, RED, query="?normalize=false")
        raw = plain["embeddings"][0]
        self.assertGreater(abs(sum(x * x for x in raw) - 1), 1e-3)
        form, kind = multipart(
            [("image", "a", None, RED), ("normalize", None, None, b"false"),
             ("encoding", None, None, b"base64"), ("model", None, None, b"starter")])
        packed = self.call(self.server, "embedImage", 200, form, kind)["embeddings"][0]
        self.assertEqual(
            struct.unpack(f"<{len(raw)}f", base64.b64decode(packed)),
            struct.unpack(f"<{len(raw)}f", struct.pack(f"<{len(raw)}f", *raw)))
        value = self.json(
            self.server, "embedImage", 200,
            {"images": [text(RED)], "normalize": False, "encoding": "base64", "model": "starter"})
        self.assertEqual(value["embeddings"][0], packed)

    def test_several_images_keep_their_order(self):
        value = self.json(self.server, "embedImage", 200, {"images": [text(RED), text(BLUE)]})
        form, kind = multipart([("image", "b", None, BLUE), ("image", "r", None, RED)])
        other = self.call(self.server, "embedImage", 200, form, kind)
        self.assertEqual(value["embeddings"], other["embeddings"][::-1])
        self.assertNotEqual(value["embeddings"][0], value["embeddings"][1])

    def test_partial(self):
        images = {"images": [text(RED), text(b"GIF89a"), text(RED[:60]), "?"], "partial": True}
        value = self.json(self.server, "embedImage", 200, images)
        self.assertEqual([e is None for e in value["embeddings"]], [False, True, True, True])
        self.assertEqual([e["index"] for e in value["errors"]], [1, 2, 3])
        self.assertEqual([e["status"] for e in value["errors"]], [422, 422, 400])
        form, kind = multipart([("image", "r", None, RED), ("image", "x", None, b"nothing")])
        value = self.call(self.server, "embedImage", 200, form, kind, query="?partial=true")
        self.assertIsNone(value["embeddings"][1])
        images["labels"] = ["red", "blue"]
        value = self.json(self.server, "classify", 200, images)
        self.assertEqual([r is None for r in value["results"]], [False, True, True, True])

    def test_fields_of_forms_and_json(self):
        """The schemas have the names that the server tells."""
        form, form_kind = multipart([("x", None, None, b"")])
        for operation, queries in (("embedImage", ("", "?output=patches")), ("classify", ("",))):
            content = operations[operation][2]["requestBody"]["content"]
            for body, kind in ((b'{"x": 0}', "application/json"), (form, form_kind)):
                told = set()
                for query in queries:
                    problem = self.call(self.server, operation, 400, body, kind, query=query)
                    told |= set(problem["detail"].partition(" is not a field of this request: ")[2].split(", "))
                schema_of_kind = schema.resolve(document, content[kind.split(";")[0]]["schema"])
                self.assertEqual(set(schema_of_kind["properties"]), told, (operation, kind))
        form, kind = multipart([("images", "a", None, RED), ("image", "b", None, BLUE), ("labels", None, None, b"a,b"),
                                ("templates", None, None, b"a {}"), ("templates", None, None, b"{}")])
        self.assertEqual(len(self.call(self.server, "classify", 200, form, kind)["results"]), 2)

    def test_texts(self):
        value = self.json(self.server, "embedText", 200, {"texts": ["a red square", "a " * 200]})
        self.assertEqual(value["truncated"], [False, True])
        self.assertEqual(value["tokens"][1], 32)
        one = self.json(self.server, "embedText", 200, {"text": "a red square", "truncate": False})
        self.assertEqual(one["embeddings"], value["embeddings"][:1])
        bare = self.call(self.server, "embedText", 200, json.dumps({"text": "a red square"}))
        self.assertEqual(bare, one)
        value = self.json(self.server, "embedText", 200,
                          {"texts": ["x", "a " * 200], "partial": True}, query="?truncate=false")
        self.assertEqual(value["tokens"][1], None)
        self.assertEqual(value["errors"][0]["index"], 1)

    def test_classify_in_every_form(self):
        labels = ["red", "blue", "green"]
        wanted = {"images": [text(RED)], "labels": labels}
        values = [self.json(self.server, "classify", 200, wanted)]
        for parts in ([("labels", None, None, label.encode()) for label in labels],
                      [("labels", None, None, b"red, blue,green")]):
            form, kind = multipart([("image", "r", None, RED)] + parts)
            values.append(self.call(self.server, "classify", 200, form, kind))
        for query in ("?labels=red,blue,green", "?labels=red&labels=blue&labels=green"):
            values.append(self.call(self.server, "classify", 200, RED, "image/png", query=query))
        values.append(self.json(self.server, "classify", 200, {"image": text(RED)},
                                query="?labels=red,blue,green"))
        values.append(self.json(self.server, "classify", 200, wanted,
                                query="?labels=x&top_k=9&template=a%20photo%20of%20a%20{}."))
        for value in values:
            self.assertEqual(value, values[0])
        scores = values[0]["results"][0]["labels"]
        self.assertAlmostEqual(sum(score["probability"] for score in scores), 1, places=5)
        self.assertEqual(scores, sorted(scores, key=lambda score: -score["cosine"]))
        top = self.json(self.server, "classify", 200, dict(wanted, top_k=1))
        self.assertEqual(top["results"][0]["labels"], scores[:1])
        default = self.json(self.server, "classify", 200,
                            dict(wanted, template="a photo of a {}."))
        self.assertEqual(default, values[0])
        ensemble = self.json(self.server, "classify", 200, dict(wanted, templates=["{}", "a {}"]))
        self.assertNotEqual(ensemble, values[0])
        cut = self.json(self.server, "classify", 200, {"image": text(RED), "labels": ["red", "red " * 99]})
        self.assertEqual(cut["truncated"], [False, True])
        form, kind = multipart([("image", "r", None, RED), ("labels", None, None, b"red,blue,green")])
        beside = self.call(self.server, "classify", 200, form, kind, query="?template={}&template=a%20{}")
        self.assertEqual(beside, ensemble)

    def test_openai(self):
        value = self.json(self.server, "openaiEmbeddings", 200,
                          {"model": "starter", "input": ["a red square"], "user": "me"})
        native = self.json(self.server, "embedText", 200, {"text": "a red square"})
        self.assertEqual(value["data"][0]["embedding"], native["embeddings"][0])
        self.assertEqual(value["usage"]["prompt_tokens"], native["tokens"][0])
        cut = self.server.request("POST", "/v1/embeddings", json.dumps({"input": ["a " * 99, "a"]}),
                                  {"Content-Type": "application/json"})
        self.answer("openaiEmbeddings", 200, cut)
        self.assertEqual(cut[1]["X-Truncated"], "0")
        packed = self.json(self.server, "openaiEmbeddings", 200,
                           {"input": "a red square", "encoding_format": "base64"})
        numbers = struct.unpack(f"<{native['dim']}f",
                                base64.b64decode(packed["data"][0]["embedding"]))
        self.assertEqual(list(numbers), [struct.unpack("<f", struct.pack("<f", x))[0]
                                         for x in native["embeddings"][0]])
        image = self.json(self.server, "embedImage", 200, {"image": text(RED)})["embeddings"][0]
        uri = "data:image/png;base64," + text(RED)
        for item in ({"image": uri}, {"image": text(RED)}, {"type": "image_url",
                     "image_url": {"url": uri}}, {"type": "image", "image_url": {"url": uri}}):
            value = self.json(self.server, "openaiEmbeddings", 200,
                              {"input": [{"text": "a red square"}, item]})
            self.assertEqual(value["data"][0]["embedding"], native["embeddings"][0])
            self.assertEqual(value["data"][1]["embedding"], image)
            self.assertEqual([d["index"] for d in value["data"]], [0, 1])
        for body in ({"input": uri}, {"input": uri, "modality": "image"}, {"messages": [
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": uri}}]}]}):
            value = self.json(self.server, "openaiEmbeddings", 200, body)
            self.assertEqual(value["data"][0]["embedding"], image)

    def test_models_and_probes(self):
        models = self.call(self.server, "listModels", 200)["models"]
        self.assertEqual([model["default"] for model in models], [True])
        names = [model["id"] for model in self.call(self.server, "openaiModels", 200)["data"]]
        self.assertEqual(names, [model["name"] for model in models])
        one = self.call(self.server, "openaiModel", 200, path={"id": names[0]})
        self.assertEqual((one["id"], one["aliases"]), (names[0], []))
        self.assertEqual(self.call(self.server, "live", 200), {"status": "live"})
        self.assertEqual(self.call(self.server, "ready", 200),
                         {"status": "ready", "models": {"starter": "loaded"}})
        self.call(self.server, "metrics", 200)
        with open(os.path.join(schema.ROOT, "openapi.yaml"), encoding="utf-8") as file:
            self.assertEqual(self.call(self.server, "openapi", 200), file.read())

    def test_head_and_request_ids(self):
        status, headers, body = self.server.request("HEAD", "/models")
        self.assertEqual((status, body), (200, b""))
        headers = self.server.get("/livez", {"X-Request-Id": "mine-1"})[1]
        self.assertEqual(headers["X-Request-Id"], "mine-1")
        headers = self.server.get("/livez", {"X-Request-Id": "not sane"})[1]
        self.assertNotEqual(headers["X-Request-Id"], "not sane")

    # ---- failures ----

    def test_405(self):
        for operation, (method, path, _) in operations.items():
            wrong = "POST" if method == "GET" else "GET"
            reply = self.server.request(wrong, path, b"" if wrong == "POST" else None)
            self.answer(operation, 405, reply)
            self.assertIn(method, reply[1]["Allow"])
            for wrong in ("PUT", "DELETE", "PATCH", "OPTIONS"):
                self.answer(operation, 405, self.server.request(wrong, path))

    def test_404(self):
        status, headers, body = self.server.get("/nothing")
        self.assertEqual((status, headers["Content-Type"]), (404, "application/problem+json"))
        schema.check(document, {"$ref": "#/components/schemas/Problem"}, json.loads(body))
        status, _, body = self.server.get("/v1/nothing")
        schema.check(document, {"$ref": "#/components/schemas/OpenAIError"}, json.loads(body))
        self.assertEqual(status, 404)
        for operation, body in (("embedImage", {"image": text(RED)}), ("embedText", {"text": "a"}),
                                ("classify", {"image": text(RED), "labels": ["a"]})):
            value = self.json(self.server, operation, 404, dict(body, model="other"))
            self.assertEqual(value["errors"][0]["pointer"], "/model")
        self.call(self.server, "embedImage", 404, RED, query="?model=other")
        for value in (self.json(self.server, "openaiEmbeddings", 404, {"input": "a", "model": "other"}),
                      self.call(self.server, "openaiModel", 404, path={"id": "other"})):
            self.assertEqual(value["error"]["code"], "model_not_found")
            self.assertEqual(value["error"]["param"], "model")

    def test_400_points_to_the_field(self):
        image, cases = text(RED), []
        cases += [("embedImage", body, pointer) for body, pointer in (
            ({}, "/images"), ({"images": []}, "/images"), ({"images": "x"}, "/images"),
            ({"images": [1]}, "/images/0"), ({"images": [image, "?"]}, "/images/1"),
            ({"images": ["http://127.0.0.1/x.png"]}, "/images/0"), ({"imagse": []}, "/imagse"),
            ({"image": image, "normalize": "no"}, "/normalize"),
            ({"image": image, "encoding": "int8"}, "/encoding"), ({"image": image, "a/b": 1}, "/a~1b"),
            ({"image": image, "model": 3}, "/model"))]
        cases += [("embedText", body, pointer) for body, pointer in (
            ({}, "/texts"), ({"texts": []}, "/texts"), ({"texts": ["a", 1]}, "/texts/1"),
            ({"text": "a", "texts": ["b"]}, "/texts"), ({"text": "a", "truncate": 1}, "/truncate"))]
        cases += [("classify", dict(body, image=image), pointer) for body, pointer in (
            ({}, "/labels"), ({"labels": []}, "/labels"), ({"labels": "a,b"}, "/labels"),
            ({"labels": ["a", ""]}, "/labels/1"), ({"labels": ["a"], "top_k": 0}, "/top_k"),
            ({"labels": ["a"], "template": "x"}, "/template"),
            ({"labels": ["a"], "templates": ["{}", "{}{}"]}, "/templates/1"))]
        for operation, body, pointer in cases:
            with self.subTest(operation, body=body):
                value = self.json(self.server, operation, 400, body)
                self.assertEqual(value["errors"][0]["pointer"], pointer)
        for body, param in (({}, "input"), ({"input": []}, "input"), ({"input": [[1]]}, "input[0]"),
                            ({"input": "a", "dimensions": 2}, "dimensions"),
                            ({"input": "a", "typo": 1}, "typo")):
            value = self.json(self.server, "openaiEmbeddings", 400, body)
            self.assertEqual(value["error"]["param"], param)

    def test_400_malformed(self):
        for operation in ("embedImage", "embedText", "classify", "openaiEmbeddings"):
            for body in (b"", b"{", b"[]", b'{"a":1,"a":2}', b"{}\0", b"\xff", b"[" * 100000):
                self.call(self.server, operation, 400, body, "application/json")
        self.call(self.server, "embedImage", 400, b"", "image/png")
        self.call(self.server, "embedImage", 400, RED, query="?normalize=maybe")
        form, kind = multipart([("image", "r", None, RED), ("lables", None, None, b"a")])
        value = self.call(self.server, "classify", 400, form, kind)
        self.assertEqual(value["errors"][0]["pointer"], "/lables")
        form, kind = multipart([("image", "r", None, RED), ("labels", None, None, b"caf\xe9")])
        self.call(self.server, "classify", 400, form, kind)
        self.call(self.server, "embedImage", 400, form[: len(form) // 2], kind)

    def test_411(self):
        for operation, (_, _, details) in operations.items():
            if "requestBody" in details:
                self.check_411(self.server, operation, read_until_closed)

    def test_413_items_and_pixels(self):
        value = self.json(self.server, "embedImage", 413, {"images": ["?"] * 65})
        self.assertEqual(value["errors"][0]["pointer"], "/images")
        self.json(self.server, "embedText", 413, {"texts": ["a"] * 2049})
        self.json(self.server, "classify", 413,
                  {"image": text(RED), "labels": ["a"] * 1025, "templates": ["{}", "a {}"]})
        self.json(self.server, "openaiEmbeddings", 413, {"input": ["a"] * 2049})
        bomb = png(1, 1, declared=(16384, 16384))
        self.call(self.server, "embedImage", 413, bomb, "image/png")
        value = self.json(self.server, "embedImage", 413, {"images": [text(RED), text(bomb)]})
        self.assertEqual((value["index"], value["errors"][0]["pointer"]), (1, "/images/1"))
        self.call(self.server, "embedText", 413, b'{"texts":[' + b"{}," * 300000, "application/json")

    def test_415(self):
        for operation, kind in (("embedImage", "text/plain"), ("embedText", "image/png"),
                                ("classify", "application/x-www-form-urlencoded"),
                                ("openaiEmbeddings", "multipart/form-data; boundary=x")):
            self.call(self.server, operation, 415, b"x", kind)
        for kind in ("image/gif", None):
            self.call(self.server, "embedImage", 415, b"GIF89a" + b"x" * 100, kind)
        value = self.json(self.server, "openaiEmbeddings", 415,
                          {"input": ["a", {"image": text(b"GIF89a")}]})
        self.assertEqual(value["error"]["param"], "input[1]")

    def test_422(self):
        self.call(self.server, "embedImage", 422, RED[:60], "image/png")
        for bad in (RED[:60], b"GIF89a"):
            for operation, more in (("embedImage", {}), ("classify", {"labels": ["a"]})):
                value = self.json(self.server, operation, 422,
                                  dict(more, images=[text(RED), text(bad), text(RED)]))
                self.assertEqual((value["index"], value["errors"][0]["pointer"]), (1, "/images/1"))
            form, kind = multipart([("image", "r", None, RED), ("image", "x", None, bad)])
            value = self.call(self.server, "embedImage", 422, form, kind)
            self.assertEqual(value["index"], 1)
        value = self.json(self.server, "embedText", 422,
                          {"texts": ["a", "a " * 200], "truncate": False})
        self.assertEqual((value["index"], value["errors"][0]["pointer"]), (1, "/texts/1"))
        value = self.json(self.server, "openaiEmbeddings", 422,
                          {"input": ["a", "a " * 200], "truncate": False})
        self.assertEqual(value["error"]["param"], "input[1]")


class States(Contract):
    requests = {
        "embedImage": {"images": [text(RED)] * 4},
        "embedText": {"texts": ["a cat"] * 2000},
        "classify": {"images": [text(RED)] * 4, "labels": ["a", "b"]},
        "openaiEmbeddings": {"input": ["a cat"] * 2000},
    }

    def test_503_while_loading(self):
        with loading_server(MODEL) as server:
            for operation in operations:
                if operation in ("live", "metrics", "openapi"):
                    self.call(server, operation, 200)
                elif operation in self.requests:
                    self.json(server, operation, 503, self.requests[operation])
                else:
                    self.call(server, operation, 503)

    def test_503_when_the_queue_is_full(self):
        # Under a sanitizer those that are not refused take their time.
        args = setting("engine.queue_limit", 2) + setting("limits.deadline", "10m")
        with Server(MODEL, args=args) as server:
            ready(server)
            with ThreadPoolExecutor(16) as pool:
                body = json.dumps(self.requests["embedText"])
                replies = list(pool.map(lambda _: server.post("/embed/text", body, timeout=600), range(32)))
            for reply in replies:
                self.assertIn(reply[0], (200, 503))
                self.answer("embedText", reply[0], reply)
            self.assertEqual({reply[0] for reply in replies}, {200, 503})
            self.json(server, "embedText", 200, {"text": "there is room again"})

    def test_a_request_may_be_larger_than_the_queue(self):
        args = setting("engine.queue_limit", 1) + setting("limits.deadline", "10m")
        with Server(MODEL, args=args) as server:
            ready(server)
            for operation, body in self.requests.items():
                self.json(server, operation, 200, body)

    def test_504(self):
        with Server(MODEL, args=setting("limits.deadline", "1ms")) as server:
            ready(server)
            # More than there are decoders.
            big = [text(png(2000, 2000))] * (2 * (os.cpu_count() or 1) + 2)
            bodies = dict(self.requests, embedImage={"images": big},
                          classify={"images": big, "labels": ["a"]})
            for operation, body in bodies.items():
                self.json(server, operation, 504, body)

    def test_bodies_that_nobody_needs(self):
        with Server(MODEL) as server:
            ready(server)
            for operation, (_, _, row) in operations.items():
                if "requestBody" not in row:
                    path = {"id": "starter"}
                    self.call(server, operation, 413, b" " * 4097, path=path)
                    self.call(server, operation, 200, b"{}", "application/json", path=path)

    def test_413_bytes(self):
        limits = setting("limits.body_max", "100KiB") + setting("limits.text_body_max", "10KiB")
        with Server(MODEL, args=limits) as server:
            ready(server)
            for operation, size in (("embedImage", 100), ("classify", 100), ("embedText", 10),
                                    ("openaiEmbeddings", 100)):
                body = b" " * (size << 10)
                self.call(server, operation, 400, body, "application/json")
                self.call(server, operation, 413, body + b" ", "application/json")


class Heads(Contract):
    def test_what_the_head_must_not_say(self):
        with Server(MODEL) as server:
            ready(server)
            closed = [name for name, row in operations.items()
                      if not {"openai", "operation"} & set(row[2]["tags"])]
            self.check_unknown_parameters(server, closed)
            for name, row in operations.items():
                if "requestBody" in row[2]:
                    self.check_content_encoding(server, name, "application/json")
            for name in set(operations) - set(closed):
                method, path, operation = operations[name]
                self.assertFalse(any(row.get("in") == "query" for row in operation.get("parameters", [])))
                if method == "GET" and "{" not in path:
                    self.assertEqual(server.get(path + "?api-version=1")[0], 200, name)
            self.json(server, "openaiEmbeddings", 200, {"input": "x"}, query="?api-version=1")


class Zz(unittest.TestCase):
    def test_every_status_was_seen(self):
        self.assertEqual(contract.unseen(operations), set())


if __name__ == "__main__":
    unittest.main(verbosity=1)
