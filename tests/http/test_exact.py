"""An embedding is the same, bit for bit, alone or in a batch, in any position, under one
client or 64, from the server or from the command line."""

import base64
import json
import os
import random
import struct
import subprocess
import tempfile
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from harness import BINARY, ROOT, Server, sanitized
from images import png

MODEL = "models/starter"
# A sanitizer takes up to a hundred times as long for an image, and sees what it looks for in fewer.
CLIENTS = 16 if sanitized() else 64
ROUNDS = 1 if sanitized() else 6  # requests of each client
SIZES = [1, 2, 3, 7, 17] if sanitized() else [*range(1, 18), 24, 33, 64]


def pictures(count):
    """Images of many sizes, so that they differ from the first pixel to the embedding."""
    make = random.Random(7)
    return [png(make.randint(1, 90), make.randint(1, 90),
                tuple(make.randint(0, 255) for _ in range(3))) for _ in range(count)]


def sentences(count):
    make = random.Random(11)
    words = "a the photo of cat dog ship truck red blue large small night beach".split()
    return [" ".join(make.choice(words) for _ in range(make.randint(0, 40))) + str(i)
            for i in range(count)]


class Exact(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # Without a deadline: sanitizers on a busy machine are slow, not wrong.
        cls.server = Server(MODEL, args=["--set", "limits.deadline=0s"]).__enter__()
        while cls.server.get("/readyz")[0] != 200:
            time.sleep(0.02)
        cls.images = pictures(24)
        cls.texts = sentences(24)
        cls.image_alone = [cls.embed("image", [i], cls.images)[0] for i in range(24)]
        cls.text_alone = [cls.embed("text", [i], cls.texts)[0] for i in range(24)]

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    @classmethod
    def embed(cls, kind, picks, inputs):
        """The embeddings of inputs[picks] as the bytes of their floats."""
        chosen = [inputs[i] for i in picks]
        if kind == "image":
            body = {"images": [base64.b64encode(c).decode() for c in chosen]}
        else:
            body = {"texts": chosen}
        body["encoding"] = "base64"
        status, _, reply = cls.server.post(f"/embed/{kind}", json.dumps(body), "application/json",
                                           timeout=120)
        if status != 200:
            raise AssertionError(f"{status}: {reply[:300]}")
        return [base64.b64decode(text) for text in json.loads(reply)["embeddings"]]

    def check(self, kind, picks):
        alone, inputs = ((self.image_alone, self.images) if kind == "image"
                         else (self.text_alone, self.texts))
        for pick, found in zip(picks, self.embed(kind, picks, inputs), strict=True):
            self.assertEqual(found, alone[pick], f"{kind} {pick} in a batch of {len(picks)}")

    def test_inputs_differ(self):
        """Else the other tests could not fail."""
        self.assertEqual(len(set(self.image_alone)), 24)
        self.assertEqual(len(set(self.text_alone)), 24)

    def test_any_batch_and_position(self):
        choose = random.Random(3)
        for size in SIZES:
            for kind in ("image", "text"):
                self.check(kind, [choose.randrange(24) for _ in range(size)])

    def test_64_clients(self):
        def client(number):
            choose = random.Random(number)
            for _ in range(ROUNDS):
                kind = choose.choice(("image", "text"))
                self.check(kind, [choose.randrange(24) for _ in range(choose.randint(1, 9))])
        with ThreadPoolExecutor(CLIENTS) as clients:
            list(clients.map(client, range(CLIENTS)))

    def test_command_line(self):
        def run(kind, *arguments):
            output = subprocess.run([BINARY, "embed", kind, "--model", MODEL, *arguments],
                                    check=True, capture_output=True, cwd=ROOT).stdout
            return [struct.pack("<192f", *json.loads(line)["embedding"])
                    for line in output.splitlines()]

        with tempfile.TemporaryDirectory() as folder:
            names = [os.path.join(folder, f"{i}.png") for i in range(24)]
            for name, data in zip(names, self.images):
                with open(name, "wb") as file:
                    file.write(data)
            self.assertEqual(run("image", *names), self.image_alone)
        self.assertEqual(run("text", "--", *self.texts), self.text_alone)


if __name__ == "__main__":
    unittest.main()
