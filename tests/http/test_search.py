"""Searches over HTTP: scores, mixtures, filters, words, and what is there twice; wrong input
of every kind."""

import json
import math
import random
import unittest

import contract
from images import text
from store import BLUE, DIM, RED, SEARCH_STATUSES, Store, at, npy, pack


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

    def test_single_fields(self):
        def metadata(*include):
            return self.hits({"id": "3", "top_k": 1, "include": list(include)})[0].get("metadata")
        whole = {"n": 3, "cat": "a", "tags": ["t1"], "deep": {"ok": True}}
        self.assertEqual(metadata("metadata.n", "metadata.deep.ok", "digest"),
                         {"n": 3, "deep": {"ok": True}})
        self.assertEqual(metadata("metadata.none", "metadata.n.x", "metadata.deep.x"), {})
        self.assertEqual(metadata("metadata.deep", "metadata.deep.ok", "metadata.tags"),
                         {"tags": ["t1"], "deep": {"ok": True}})
        self.assertEqual(metadata("metadata.n", "metadata"), whole)
        self.assertIsNone(metadata("text"))
        item = self.call_on("getItem", item="3", query="?include=metadata.n,text")
        self.assertEqual((item["metadata"], item["text"]), ({"n": 3}, "number 3 dog"))

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

    def test_texts_that_are_cut(self):
        self.json_on("putCollection", {}, name="photos")
        self.json_on("upsertItems", {"items": [{"id": "red", "image": text(RED)}]}, name="photos")
        whole, cut = {"text": "a dog"}, {"text": "a " * 100}
        image = {"image": text(BLUE), "top_k": 1}
        value = self.json_on("search", {"queries": [
            whole, cut, image, {"mixture": [{"image": text(BLUE)}, whole]},
            {"mixture": [whole, {"id": "red"}, cut]}, dict(cut, score_min=2), {"id": "red"}]}, name="photos")
        self.assertEqual([result.get("truncated", False) for result in value["results"]],
                         [False, True, False, False, True, True, False])
        self.assertEqual(value["results"][5], {"hits": [], "truncated": True})
        self.assertNotIn("truncated", self.json_on("search", whole, name="photos")["results"][0])
        self.assertIs(self.json_on("search", cut, name="photos")["results"][0]["truncated"], True)

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
                 ({"id": "1", "effort": 10001}, "/effort"),
                 ({"id": "1", "exact": 1}, "/exact"), ({"id": "1", "score_min": "x"}, "/score_min"),
                 ({"id": "1", "words": "x", "words_weight": 2}, "/words_weight"),
                 ({"id": "1", "words": 2}, "/words"), ({"id": "1", "include": ["x"]}, "/include/0"),
                 ({"id": "1", "include": ["metadata."]}, "/include/0"),
                 ({"id": "1", "include": ["metadata." + "x" * 201]}, "/include/0"),
                 ({"id": "1", "include": ["metadata.x"] * 33}, "/include/32"),
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


class Zz(unittest.TestCase):
    def test_every_status_was_seen(self):
        self.assertLessEqual(SEARCH_STATUSES, contract.seen)


if __name__ == "__main__":
    unittest.main(verbosity=1)
