"""Every hostile or odd file of ../shared/corpora through the running server: an answer
in the documented form each time, in bounded time and memory, and nothing else changes.
"""

import json
import os
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

import schema
from harness import SHARED, Server
from images import png

CORPORA = os.path.join(SHARED, "corpora")
IMAGES = ("jpeg-afl-ljt", "jpeg-testimages-ljt", "jpeg-exif-orientation", "png-suite",
          "png-testpngs-libpng", "webp-testdata", "gofuzz/jpeg", "gofuzz/png", "gofuzz/webp",
          "gofuzz/gif", "bombs")
JSON = ("json-testsuite", "gofuzz/json", "bombs")
THREADS = 4
# Far above what any file takes alone; sanitizers are slow and cores are shared.
SECONDS_MAX = 20
RSS_GROWTH_MAX_KB = 256 << 10
REFUSALS = {400, 413, 415, 422}

document = schema.load()


def find(folders):
    for folder in folders:
        for path, _, names in os.walk(os.path.join(CORPORA, folder)):
            for name in names:
                yield os.path.join(path, name)


class Corpora(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("models/starter").__enter__()
        while cls.server.get("/readyz")[0] != 200:
            time.sleep(0.02)

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def post_files(self, route, kind, failure, files):
        """On one connection; what went wrong, and how many were accepted."""
        connection, problems, accepted = self.server.connection(), [], 0
        for path in files:
            with open(path, "rb") as file:
                data = file.read()
            started = time.monotonic()
            try:
                connection.request("POST", route, data, {"Content-Type": kind} if kind else {})
                response = connection.getresponse()
                body = response.read()
            except ConnectionError:
                # Refused before the body was read, so that the answer may be lost.
                if len(data) < 20 << 20:
                    problems.append(f"{path}: the connection broke")
                connection.close()
                continue
            if time.monotonic() - started > SECONDS_MAX:
                problems.append(f"{path}: took {time.monotonic() - started:.1f} s")
            accepted += response.status == 200
            if response.status in REFUSALS:
                schema.check(document, {"$ref": failure}, json.loads(body))
            elif response.status != 200:
                problems.append(f"{path}: {response.status} {body[:200]}")
        connection.close()
        return problems, accepted

    def post_all(self, route, kind, failure, folders):
        files = sorted(set(find(folders)))
        with ThreadPoolExecutor(THREADS) as pool:
            parts = [files[n::THREADS] for n in range(THREADS)]
            jobs = [pool.submit(self.post_files, route, kind, failure, part) for part in parts]
            results = [job.result() for job in jobs]
        self.assertEqual([problem for problems, _ in results for problem in problems], [])
        return len(files), sum(accepted for _, accepted in results)

    def test_images(self):
        sample = png(40, 30)
        before, rss = self.server.post("/embed/image", sample)[2], self.server.rss_kb()
        count, accepted = self.post_all("/embed/image", None, "#/components/schemas/Problem", IMAGES)
        print(f"images: {count}, of them embedded: {accepted}, "
              f"memory grew by {(self.server.rss_kb() - rss) >> 10} MiB")
        self.assertGreater(accepted, 500)
        self.assertEqual(self.server.post("/embed/image", sample)[2], before)
        if not os.environ.get("CLIPD", "").count("asan"):
            self.assertLess(self.server.rss_kb() - rss, RSS_GROWTH_MAX_KB)

    def test_json(self):
        for route, failure in (("/embed/text", "Problem"), ("/v1/embeddings", "OpenAIError"),
                               ("/classify", "Problem")):
            _, accepted = self.post_all(
                route, "application/json", "#/components/schemas/" + failure, JSON)
            self.assertEqual(accepted, 0)


if __name__ == "__main__":
    if os.path.isdir(CORPORA):
        unittest.main(verbosity=1)
    print("skipped: no ../shared")
