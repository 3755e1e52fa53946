"""What other CLIP servers got wrong, each named after the report, so that we do not."""

import base64
import json
import struct
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from harness import Server, multipart
from images import png, text

MODEL = "models/starter"
RED = png(40, 30)
BLUE = png(20, 30, (10, 20, 220))


class PeerBugs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(MODEL).__enter__()
        while cls.server.get("/readyz")[0] != 200:
            time.sleep(0.02)

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def post(self, path, value, status=200):
        reply = self.server.post(path, json.dumps(value), "application/json")
        self.assertEqual(reply[0], status, reply[2][:500])
        return json.loads(reply[2])

    def embed_image(self, data):
        return self.post("/embed/image", {"image": text(data)})["embeddings"][0]

    def embed_text(self, words):
        return self.post("/embed/text", {"text": words})["embeddings"][0]

    def probabilities(self, labels, data=RED):
        value = self.post("/classify", {"image": text(data), "labels": labels})
        return {score["label"]: score["probability"] for score in value["results"][0]["labels"]}

    def test_tiny_images_poison_nothing(self):
        """infinity #609, #367: one 1x1 image broke a replica until its restart."""
        before = self.embed_image(RED)
        for size in ((1, 1), (1, 3), (2, 1), (1, 2000), (2000, 1)):
            self.assertEqual(len(self.embed_image(png(*size))), 192)
        self.assertEqual(self.embed_image(RED), before)
        self.assertEqual(self.server.get("/readyz")[0], 200)

    def test_texts_one_token_too_long(self):
        """multi2vec-clip #19: a text of 78 tokens failed."""
        fits = self.post("/embed/text", {"text": "a " * 30, "truncate": False})
        self.assertEqual((fits["tokens"], fits["truncated"]), ([32], [False]))
        cut = self.post("/embed/text", {"text": "a " * 31})
        self.assertEqual((cut["tokens"], cut["truncated"]), ([32], [True]))
        self.assertEqual(cut["embeddings"], fits["embeddings"])
        self.post("/embed/text", {"text": "a " * 31, "truncate": False}, 422)
        self.post("/v1/embeddings", {"input": "a " * 1000})
        self.probabilities(["a " * 1000, "b"])

    def test_base64_is_what_openai_clients_ask_for(self):
        """openai-node #1310, Flowise #6197: floats instead of base64 became one zero."""
        numbers = self.post("/v1/embeddings", {"input": ["a cat"], "encoding_format": "float"})
        packed = self.post("/v1/embeddings", {"input": ["a cat"], "encoding_format": "base64"})
        data = base64.b64decode(packed["data"][0]["embedding"], validate=True)
        expected = numbers["data"][0]["embedding"]
        self.assertEqual(data, struct.pack(f"<{len(expected)}f", *expected))

    def test_images_of_equal_height_differ(self):
        """infinity's cache took the height for the image."""
        self.assertNotEqual(self.embed_image(RED), self.embed_image(BLUE))
        self.assertEqual(self.embed_image(RED), self.embed_image(RED))

    def test_a_bad_image_fails_alone(self):
        """infinity #609 again: batch-mates of a bad input."""
        alone = self.embed_image(RED)
        form, kind = multipart(
            [("image", "r", None, RED), ("image", "x", None, b"\xff\xd8\xff\xe0 no JPEG"),
             ("image", "b", None, BLUE), ("partial", None, None, b"1")])
        reply = self.server.post("/embed/image", form, kind)
        value = json.loads(reply[2])
        self.assertEqual(value["embeddings"][0], alone)
        self.assertIsNone(value["embeddings"][1])
        self.assertEqual(value["embeddings"][2], self.embed_image(BLUE))

    def test_labels_of_all_kinds(self):
        self.assertEqual(self.probabilities(["cat"]), {"cat": 1})
        twice = self.post("/classify", {"image": text(RED), "labels": ["cat", "dog", "cat"]})
        scores = twice["results"][0]["labels"]
        cats = [score["probability"] for score in scores if score["label"] == "cat"]
        self.assertEqual(len(cats), 2)
        self.assertEqual(cats[0], cats[1])
        labels = ["кошка", "猫", "🐈", "e\u0301", "a\"b\\c\n"]
        self.assertEqual(set(self.probabilities(labels)), set(labels))
        form, kind = multipart([("image", "r", None, RED)] + [
            ("labels", None, None, label.encode()) for label in labels])
        value = json.loads(self.server.post("/classify", form, kind)[2])
        self.assertEqual({score["label"] for score in value["results"][0]["labels"]}, set(labels))
        self.post("/classify", {"image": text(RED), "labels": []}, 400)

    def test_embeddings_do_not_depend_on_company(self):
        """vLLM #53091: under image load every text got the empty text's embedding; and
        the bit-identity that nobody promises."""
        words = [f"a photo of {n} things" for n in range(24)]
        pictures = [png(30, 20 + n, (n * 9, 200 - n, n)) for n in range(24)]
        texts_alone = [self.embed_text(w) for w in words]
        images_alone = [self.embed_image(p) for p in pictures]
        self.assertEqual(len({tuple(e) for e in texts_alone}), len(words))
        together = self.post("/embed/text", {"texts": words[::-1]})["embeddings"][::-1]
        self.assertEqual(together, texts_alone)
        with ThreadPoolExecutor(32) as pool:
            images = [pool.submit(self.embed_image, p) for p in pictures * 3]
            texts = [pool.submit(self.embed_text, w) for w in words * 3]
            self.assertEqual([t.result() for t in texts], texts_alone * 3)
            self.assertEqual([i.result() for i in images], images_alone * 3)

    def test_labels_do_not_depend_on_company(self):
        """The label cache must give what the first forward gave."""
        labels = [f"thing {n}" for n in range(40)]
        first = self.probabilities(labels)
        self.assertEqual(self.probabilities(labels), first)
        self.assertEqual(self.probabilities(labels[::-1]), first)


if __name__ == "__main__":
    unittest.main(verbosity=1)
