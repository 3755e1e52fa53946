"""clipd bench: which rows it prints, in which forms, and that its numbers fit together. How
large they are depends on the machine and is not tested."""

import csv
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest

from program import MODEL, NO_INPUT, ROOT, USAGE, clipd

sys.path.insert(0, os.path.join(ROOT, "tests/http"))
from harness import sanitized

DATA = 65
ARCH = "ViT-S-32-alt"
FULL_SIZE = "a model of full size takes minutes, on the ways that a small one goes"
QUICK = ["bench", "--model", MODEL, "--seconds", "0.02", "--repeats", "1"]
FIELDS = ["cpu", "kernel", "arch", "tower", "precision", "batch", "threads", "mode", "tokens",
          "items_per_second", "gflops", "peak_gflops", "peak_share", "cpu_share", "p50_ms", "p99_ms",
          "cosine_fp32"]


def rows(*arguments, **options):
    code, out, err = clipd(*arguments, "--json", **options)
    assert (code, err) == (0, ""), (code, err)
    return [json.loads(line) for line in out.splitlines()]


class Bench(unittest.TestCase):
    def check_row(self, row):
        self.assertEqual(list(row), FIELDS)
        self.assertGreater(row["items_per_second"], 0)
        self.assertGreater(row["gflops"], 0)
        self.assertLessEqual(row["p50_ms"], row["p99_ms"])
        self.assertGreater(row["p50_ms"], 0)
        if row["peak_gflops"]:
            self.assertAlmostEqual(row["peak_share"], row["gflops"] / row["peak_gflops"], 4)
            self.assertLess(row["peak_share"], 1.2)
            self.assertGreater(row["cpu_share"], 0)

    def test_rows_and_fields(self):
        found = rows(*QUICK, "--batch", "1,2", "--threads", "1,2", "--tokens", "5", "--precision",
                     "fp32,int8")
        for row in found:
            self.check_row(row)
            self.assertEqual(row["arch"], "CLIP")
        keys = {(row["tower"], row["precision"], row["tokens"], row["batch"], row["threads"], row["mode"])
                for row in found}
        expected = set()
        for tower, tokens in (("image", 65), ("text", 5)):
            for precision in ("fp32", "int8"):
                expected |= {(tower, precision, tokens, batch, threads, "throughput")
                             for batch in (1, 2) for threads in (1, 2)}
                expected.add((tower, precision, tokens, 1, 2, "lone"))
        self.assertEqual(keys, expected)
        self.assertEqual(len(found), len(expected))

    def test_cosines(self):
        found = {row["precision"]: row["cosine_fp32"] for row in rows(
            *QUICK, "--tower", "image", "--batch", "1", "--threads", "1", "--precision", "fp32,bf16,int8")}
        self.assertAlmostEqual(found["fp32"], 1, 6)
        for precision, least in (("bf16", 0.9999), ("int8", 0.99)):
            self.assertGreater(found[precision], least)
            self.assertLess(found[precision], 0.9999999)

    @unittest.skipIf(sanitized(), FULL_SIZE)
    def test_random_weights(self):
        """GFLOP/s are those of the whole model: 2.2852 billion operations for an image."""
        row, = rows("bench", "--arch", ARCH, "--seconds", "0", "--repeats", "1", "--tower", "image",
                    "--batch", "1", "--threads", "1", "--precision", "int8")
        self.check_row(row)
        self.assertEqual((row["arch"], row["tower"], row["tokens"]), (ARCH, "image", 50))
        self.assertAlmostEqual(row["gflops"] / row["items_per_second"], 2.2852, 3)
        self.assertTrue(0.99 < row["cosine_fp32"] < 0.9999999)

    def test_portable_kernels_have_no_peak(self):
        row, = rows(*QUICK, "--tower", "text", "--tokens", "2", "--batch", "1", "--threads", "1",
                    "--precision", "bf16", env={"CLIPD_CPU": "generic"})
        self.check_row(row)
        self.assertEqual((row["kernel"], row["peak_gflops"], row["peak_share"]), ("generic", None, None))
        code, out, _ = clipd(*QUICK, "--csv", "--tower", "text", "--tokens", "2", "--batch", "1", "--threads",
                             "1", "--precision", "bf16", env={"CLIPD_CPU": "generic"})
        cells, = csv.DictReader(io.StringIO(out.decode()))
        self.assertEqual((code, cells["peak_gflops"], cells["cpu_share"]), (0, "", ""))

    def test_csv(self):
        code, out, _ = clipd(*QUICK, "--csv", "--tower", "text", "--tokens", "16", "--batch", "1",
                             "--threads", "1", "--precision", "fp32")
        reader = csv.DictReader(io.StringIO(out.decode()))
        self.assertEqual((code, reader.fieldnames), (0, FIELDS))
        cells, = reader
        self.assertEqual((cells["tower"], cells["tokens"], cells["mode"]), ("text", "16", "throughput"))
        self.assertGreater(float(cells["items_per_second"]), 0)

    def test_table(self):
        code, out, _ = clipd(*QUICK, "--tower", "text", "--tokens", "16", "--batch", "1", "--threads", "1",
                             "--precision", "fp32")
        head, _, columns, row = out.decode().splitlines()
        self.assertEqual(code, 0)
        self.assertRegex(head, r"^clipd \d.*, .*, \d+ cores, .+$")
        self.assertTrue(columns.startswith("arch "))
        self.assertTrue(row.startswith("CLIP "))

    def test_checkpoint(self):
        found = rows(*QUICK, "--batch", "3", "--threads", "1", "--tokens", "32", "--precision", "fp32")
        self.assertEqual([(row["tower"], row["tokens"], row["batch"]) for row in found],
                         [("image", 65, 3), ("text", 32, 3)])
        found = rows(*QUICK, "--batch", "1", "--threads", "1", "--precision", "fp32", "--tower", "text")
        self.assertEqual([row["tokens"] for row in found], [16, 32])
        code, _, err = clipd("bench", "--model", MODEL, "--tokens", "33")
        self.assertEqual(code, DATA)
        self.assertIn("33 tokens", err)
        self.assertEqual(clipd("bench", "--model", "/nonexistent")[0], NO_INPUT)

    def test_architectures(self):
        code, out, _ = clipd("bench", "--arch", "list")
        names = out.decode().split()
        self.assertEqual(code, 0)
        self.assertLessEqual({"ViT-B-32", "ViT-L-14", ARCH}, set(names))
        code, out, err = clipd("bench", "--arch", "ViT-Z-99")
        self.assertEqual((code, out), (USAGE, b""))
        self.assertIn("'ViT-Z-99' is not known", err)

    def test_names_of_models(self):
        """The architecture of each that `clipd models` prints; what is wrong then is said next."""
        listed = clipd("models", "--no-speed", "--json")[1].decode().splitlines()
        names = {json.loads(line)["name"].split(":")[0] for line in listed}
        self.assertGreater(len(names), 20)
        for name in sorted(names) + ["ViT-B-16-SigLIP-512", "xlm-roberta-base-ViT-B-32"]:
            code, _, err = clipd("bench", "--arch", name, "--batch", "0")
            self.assertEqual(code, USAGE)
            self.assertIn("--batch: found '0'", err)

    def test_wrong_usage(self):
        for arguments in (["--batch", "0"], ["--batch", "257"], ["--batch", "1,"], ["--batch", ""],
                          ["--batch", "-1"], ["--batch", "1x"], ["--batch", ",".join(["1"] * 17)],
                          ["--threads", "0"], ["--threads", "257"], ["--tokens", "1"], ["--seconds", "-1"],
                          ["--seconds", "nan"], ["--seconds", "x"], ["--seconds", ""], ["--repeats", "0"],
                          ["--repeats", "1,2"], ["--precision", "fp16"], ["--precision", ""],
                          ["--tower", "sound"], ["--arch", ""], ["--arch", ARCH, "--model", MODEL],
                          ["--model", MODEL, "--outliers"], ["x"]):
            code, out, err = clipd("bench", *arguments)
            self.assertEqual((code, out), (USAGE, b""), arguments)
            self.assertIn("try 'clipd bench --help'", err)
        self.assertEqual(clipd("bench", env={"CLIPD_CPU": "x"})[0], USAGE)

    def test_search(self):
        few = ["bench", "search", "--items", "100", "--dim", "8", "--queries", "2"]
        code, out, err = clipd(*few, "--seconds", "0.05")
        self.assertEqual((code, err), (0, ""))
        self.assertGreater(json.loads(out)["queries_per_second"], 0)
        for seconds in ("-1", "3601", "nan", "x", ""):
            code, out, err = clipd(*few, "--seconds", seconds)
            self.assertEqual((code, out), (USAGE, b""), seconds)
            self.assertIn("try 'clipd bench search --help'", err)
        # Also where rows are no multiple of what the kernels read at a time.
        for dim in ("8", "64", "100"):
            out = clipd(*few, "--dim", dim, "--precision", "fp32", "--seconds", "0")[1]
            self.assertEqual(json.loads(out)["recall_at_10"], 1, dim)
        self.assertEqual(clipd(*few, "--what")[2], "clipd bench search: unrecognized option '--what'\n"
                                                   "try 'clipd bench search --help'\n")


class RandomModel(unittest.TestCase):
    @unittest.skipIf(sanitized(), FULL_SIZE)
    def test_it_is_the_architecture_it_says(self):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.executable, "tools/make_random_model.py", folder, ARCH], cwd=ROOT, check=True)
            model, = json.loads(clipd("info", "--model", folder)[1])["models"]
            self.assertEqual((model["architecture"], model["embed_dim"], model["vocab_size"]),
                             (ARCH, 256, 49408))
            code, out, err = clipd("embed", "text", "--model", folder, "a ship", "two dogs",
                                   env={"CLIPD_CACHE_DIR": "none"})
            self.assertEqual((code, err), (0, ""))
            first, second = [json.loads(line)["embedding"] for line in out.splitlines()]
            self.assertLess(sum(x * y for x, y in zip(first, second)), 0.999)
            self.assertGreater(os.path.getsize(f"{folder}/model.safetensors"), 50 << 20)


if __name__ == "__main__":
    unittest.main()
