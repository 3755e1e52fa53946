"""The main job on real input: photographs in, true labels out, through the server.

What the starter model's card states - accuracies, labels, probabilities, embeddings -
was measured with PyTorch in fp32; the service must give the same in fp32.
"""

import base64
import json
import os
import tarfile
import time
import unittest

from harness import SHARED, Server

MODEL = "models/starter"
STARTER = os.path.join(SHARED, "training", "starter-v0", "reference")
PHOTOS = os.path.join(SHARED, "reference", "photos")
TOLERANCE = 2e-5  # of an element of a normalised embedding, against another fp32 program
PROBABILITY = 6e-5  # the reference is rounded to four decimals


class Starter(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with open(os.path.join(STARTER, "expected.json"), encoding="utf-8") as file:
            cls.expected = json.load(file)
        cls.server = Server(MODEL, args=["--precision", "fp32"]).__enter__()
        while cls.server.get("/readyz")[0] != 200:
            time.sleep(0.02)

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def post(self, path, value):
        status, _, body = self.server.post(path, json.dumps(value), "application/json", timeout=120)
        self.assertEqual(status, 200, body[:500])
        return json.loads(body)

    def held_out(self):
        with tarfile.open(os.path.join(STARTER, "heldout-500.tar")) as tar:
            return {m.name: tar.extractfile(m).read() for m in tar.getmembers() if m.isfile()}

    def assert_close(self, found, expected, what):
        worst = max(abs(a - b) for a, b in zip(found, expected, strict=True))
        self.assertLessEqual(worst, TOLERANCE, f"{what} differs by {worst}")

    def classify(self, images):
        images = [{"base64": base64.b64encode(data).decode()} for data in images]
        answer = self.post("/classify", {"images": images, "labels": self.expected["labels"],
                                         "template": self.expected["template"]})
        return [result["labels"] for result in answer["results"]]

    def test_500_photographs(self):
        pictures = self.held_out()
        names = sorted(self.expected["predictions"])
        self.assertEqual(len(names), 500)
        right = 0
        for first in range(0, len(names), 50):
            part = names[first:first + 50]
            for name, labels in zip(part, self.classify([pictures[n] for n in part])):
                expected = self.expected["predictions"][name]
                found = {score["label"]: score["probability"] for score in labels}
                self.assertAlmostEqual(found[expected["label"]], expected["probability"],
                                       delta=PROBABILITY, msg=name)
                self.assertEqual(labels[0]["label"], expected["label"], name)
                right += labels[0]["label"] == name.split("/")[0]
        self.assertEqual(right / len(names), self.expected["heldout_top1"])

    def test_embeddings(self):
        pictures = self.held_out()
        names = sorted(self.expected["embeddings"])
        images = [base64.b64encode(pictures[n]).decode() for n in names]
        answer = self.post("/embed/image", {"images": images})
        self.assertEqual(len(names), 20)
        for name, found in zip(names, answer["embeddings"], strict=True):
            self.assert_close(found, self.expected["embeddings"][name], name)

    def test_texts(self):
        texts = sorted(self.expected["texts"])
        answer = self.post("/embed/text", {"texts": texts})
        for text, found, tokens in zip(texts, answer["embeddings"], answer["tokens"], strict=True):
            expected = self.expected["texts"][text]
            self.assert_close(found, expected["embedding"], text)
            self.assertEqual(tokens, len(expected["tokens"]))

    def test_full_size_photographs(self):
        for name, expected in sorted(self.expected["photos"].items()):
            with open(os.path.join(PHOTOS, name), "rb") as file:
                data = file.read()
            reply = self.server.post("/embed/image", data, "image/jpeg")
            self.assertEqual(reply[0], 200)
            self.assert_close(json.loads(reply[2])["embeddings"][0], expected["embedding"], name)
            for score in self.classify([data])[0]:
                self.assertAlmostEqual(score["probability"],
                                       expected["probabilities"][score["label"]],
                                       delta=PROBABILITY, msg=f"{name}: {score['label']}")

    def test_logit_scale(self):
        model = json.loads(self.server.get("/models")[2])["models"][0]
        self.assertAlmostEqual(model["logit_scale"], self.expected["logit_scale_exp"], places=4)


if __name__ == "__main__":
    if os.path.isdir(STARTER):
        unittest.main()
    print("skipped: no ../shared")
