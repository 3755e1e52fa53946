"""A model with `preprocess: fast`: every answer about images says so, embeddings are close to
the exact ones, and a model beside it without it is untouched."""

import base64
import json
import os
import tempfile
import time
import unittest

import schema
from harness import ROOT, Server
from images import png

PHOTO = os.path.join(ROOT, "docs/pictures/ship.jpg")  # 256 x 256, for a model of 32
CONFIG = """
models:
  - {name: exact, path: models/starter, precision: fp32, default: true}
  - {name: fast, path: models/starter, precision: fp32, preprocess: fast}
"""

document = schema.load()


class Fast(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with open(PHOTO, "rb") as file:
            cls.photo = base64.b64encode(file.read()).decode()
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
            config.write(CONFIG)
            config.flush()
            cls.server = Server(args=["--config", config.name]).__enter__()
        while cls.server.get("/readyz")[0] != 200:
            time.sleep(0.02)

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def post(self, path, name, **body):
        status, _, reply = self.server.post(path, json.dumps(body), "application/json")
        self.assertEqual(status, 200, reply[:500])
        answer = json.loads(reply)
        schema.check(document, {"$ref": f"#/components/schemas/{name}"}, answer)
        return answer

    def embed(self, model, image):
        answer = self.post("/embed/image", "ImageEmbeddings", model=model, image=image)
        return answer["embeddings"][0], answer.get("preprocess")

    def test_embeddings_are_close_and_marked(self):
        exact, unmarked = self.embed("exact", self.photo)
        fast, marked = self.embed("fast", self.photo)
        self.assertEqual((unmarked, marked), (None, "fast"))
        self.assertNotEqual(exact, fast)
        self.assertGreater(sum(a * b for a, b in zip(exact, fast, strict=True)), 0.995)

    def test_other_formats_are_exact(self):
        picture = base64.b64encode(png(300, 200)).decode()
        exact, fast = self.embed("exact", picture), self.embed("fast", picture)
        self.assertEqual(exact[0], fast[0])
        self.assertEqual((exact[1], fast[1]), (None, "fast"))

    def test_every_answer_about_images_is_marked(self):
        for model, mark in (("exact", None), ("fast", "fast")):
            answer = self.post("/classify", "Classification", model=model, image=self.photo,
                               labels=["ship", "cat"])
            self.assertEqual(answer.get("preprocess"), mark)
            answer = self.post("/v1/embeddings", "OpenAIEmbeddings", model=model,
                               input={"image": self.photo})
            self.assertEqual(answer.get("preprocess"), mark)

    def test_answers_about_texts_are_not(self):
        answer = self.post("/embed/text", "TextEmbeddings", model="fast", text="a ship")
        self.assertNotIn("preprocess", answer)
        answer = self.post("/v1/embeddings", "OpenAIEmbeddings", model="fast", input="a ship")
        self.assertNotIn("preprocess", answer)

    def test_models(self):
        models = json.loads(self.server.get("/models")[2])["models"]
        self.assertEqual({m["name"]: m["preprocess"]["mode"] for m in models},
                         {"exact": "exact", "fast": "fast"})


if __name__ == "__main__":
    unittest.main()
