"""POST /embed/image?output=patches: shapes, formats, layers, and what is refused. That the numbers
are PyTorch's is tests/core/model/test_states.c's to show."""

import json
import os
import struct
import tempfile
import threading
import time
import unittest

from contract import Contract, ready, setting
from harness import Server, multipart
from images import png, text
from test_metrics import parse

MODEL = "models/starter"
LAYERS, PATCHES, WIDTH = 6, 64, 192
PICTURES = [png(40, 30, (i * 37 % 256, 90, i * 11 % 256)) for i in range(5)]


class States(Contract):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(MODEL, args=["--precision", "fp32"]).__enter__()
        ready(cls.server)

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def ask(self, query="", pictures=PICTURES[:1], status=200, server=None, **fields):
        body = {"images": [text(picture) for picture in pictures], **fields}
        return self.json(server or self.server, "embedImage", status, body,
                         query="?output=patches" + query)

    def array(self, body, shape, kind="<f4"):
        """The numbers of a .npy file of that shape, as bytes."""
        self.assertEqual(body[:8], b"\x93NUMPY\x01\x00")
        size = 10 + struct.unpack("<H", body[8:10])[0]
        self.assertEqual(size % 64, 0)
        self.assertEqual(body[10:size].decode().rstrip(), f"{{'descr': '{kind}', "
                         f"'fortran_order': False, 'shape': ({', '.join(map(str, shape))}), }}")
        self.assertEqual(len(body) - size, int(kind[2]) * shape[0] * shape[1] * shape[2])
        return body[size:]

    def test_forms_of_a_request(self):
        expected = self.ask()
        self.array(expected, (1, PATCHES, WIDTH))
        self.assertEqual(self.call(self.server, "embedImage", 200, PICTURES[0], "image/png",
                                   query="?output=patches&layer=-2&class_token=false"), expected)
        form = multipart([("image", "a.png", "image/png", PICTURES[0]), ("layer", None, None, b"-2")])
        self.assertEqual(self.call(self.server, "embedImage", 200, *form,
                                   query="?output=patches"), expected)
        self.assertEqual(self.ask(layer=LAYERS - 1), expected)
        self.assertNotEqual(self.ask(layer=-1), expected)
        status, headers, body = self.server.post("/embed/image?output=patches", PICTURES[0], "image/png")
        self.assertEqual((status, body), (200, expected))
        self.assertEqual(headers["X-Shape"], f"1, {PATCHES}, {WIDTH}")
        self.assertEqual(headers["Content-Type"], "application/x-npy")

    def test_layers(self):
        seen = {self.ask(layer=layer) for layer in range(LAYERS + 1)}
        self.assertEqual(len(seen), LAYERS + 1)
        self.assertEqual(seen, {self.ask(layer=layer) for layer in range(-LAYERS - 1, 0)})

    def test_class_token(self):
        patches = self.array(self.ask(), (1, PATCHES, WIDTH))
        rows = self.array(self.ask(class_token=True), (1, PATCHES + 1, WIDTH))
        self.assertEqual(rows[4 * WIDTH:], patches)

    def test_batches(self):
        many = self.array(self.ask(pictures=PICTURES * 9), (45, PATCHES, WIDTH))
        size = 4 * PATCHES * WIDTH
        for i, picture in enumerate(PICTURES):
            one = self.array(self.ask(pictures=[picture]), (1, PATCHES, WIDTH))
            self.assertEqual(many[i * size:(i + 1) * size], one)

    def test_formats(self):
        floats = self.array(self.ask(), (1, PATCHES, WIDTH))
        self.assertEqual(self.ask("&format=raw"), floats)
        count = PATCHES * WIDTH
        halves = struct.pack(f"<{count}e", *struct.unpack(f"<{count}f", floats))
        self.assertEqual(self.array(self.ask(dtype="float16"), (1, PATCHES, WIDTH), "<f2"), halves)
        self.assertEqual(self.ask(dtype="float16", format="raw"), halves)

    def test_refused(self):
        for fields, status, pointer in (
                ({"layer": LAYERS + 1}, 422, "/layer"), ({"layer": -LAYERS - 2}, 422, "/layer"),
                ({"layer": 2000}, 400, "/layer"), ({"partial": True}, 400, "/partial"),
                ({"normalize": False}, 400, "/normalize"), ({"encoding": "float"}, 400, "/encoding"),
                ({"model": "other"}, 404, "/model")):
            problem = self.ask(status=status, **fields)
            self.assertEqual(problem["errors"][0]["pointer"], pointer, fields)
        problem = self.ask(pictures=[PICTURES[0], b"no picture"], status=422)
        self.assertEqual(problem["errors"][0]["pointer"], "/images/1")
        self.json(self.server, "embedImage", 400, {"image": text(PICTURES[0]), "layer": 1})
        self.json(self.server, "embedImage", 400, {"image": text(PICTURES[0])}, query="?output=rows")
        self.json(self.server, "embedImage", 200, {"image": text(PICTURES[0])}, query="?output=embedding")

    def test_a_model_without(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
            weights = "tests/golden/torch/diffusers/text_encoder/model.safetensors"
            json.dump({"models": [{"name": "texts", "path": weights, "head_width": 8},
                                  {"name": "starter", "path": MODEL, "default": True}]}, config)
            config.flush()
            with Server(args=["--config", config.name]) as server:
                ready(server)
                self.assertIn("hidden states", self.ask(server=server, status=422, model="texts")["detail"])

    def ask_again(self, server, last=PICTURES[2]):
        """Three pictures, or two and what is none. What an answer held is given back when it has been
        sent, which a client may know a little earlier: it asks again after 503."""
        pictures = [text(picture) for picture in (*PICTURES[:2], last)]
        body, deadline = json.dumps({"images": pictures}), time.monotonic() + 60
        status = 503
        while status == 503 and time.monotonic() < deadline:
            status, headers, answer = server.post("/embed/image?output=patches", body,
                                                  "application/json")
        self.answer("embedImage", 200 if last == PICTURES[2] else 422, (status, headers, answer))

    def test_bounds(self):
        """413 for what can never be, 503 for what cannot be now; and everything is given back."""
        size = 4 * PATCHES * WIDTH
        with Server(MODEL, args=setting("limits.states_max", str(3 * size))) as server:
            ready(server)
            self.ask_again(server)
            self.assertIn("limit", self.ask(pictures=PICTURES[:4], status=413, server=server)["detail"])
            for _ in range(4):
                self.ask_again(server, b"none")
                self.ask_again(server)
            found = set()

            def ask():
                for _ in range(40):
                    body = json.dumps({"images": [text(picture) for picture in PICTURES[:3]]})
                    status, headers, _ = server.post("/embed/image?output=patches", body, "application/json")
                    found.add(status)
                    if status == 503:
                        assert 1 <= int(headers["Retry-After"]) <= 60

            askers = [threading.Thread(target=ask) for _ in range(6)]
            for asker in askers:
                asker.start()
            for asker in askers:
                asker.join()
            self.assertEqual(found, {200, 503})
            self.ask_again(server)

    def test_metrics(self):
        self.ask()
        families = parse(self.server.get("/metrics")[2].decode())
        key = ("_count", ("model", os.path.basename(MODEL)), ("tower", "states"))
        self.assertGreater(families["clipd_encode_seconds"][1][key], 0)


if __name__ == "__main__":
    unittest.main()
