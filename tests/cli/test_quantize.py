"""`clipd quantize`, and what serves the profile that it writes."""

import json
import os
import re
import shutil
import sys
import tempfile
import unittest

from program import (CANNOT_CREATE, CONFIG, DATA, MODEL, NO_INPUT, ROOT, USAGE, clipd, environment)

sys.path.insert(0, os.path.join(ROOT, "tests/http"))
from harness import Server
from test_serve import wait_until_ready

PICTURES = "docs/pictures"
SHA256 = "73904f1274a1d69554497ed42464642b44dcf589403781f1a82bb2c6d178f99b"


class Quantize(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.profile = os.path.join(self.folder, "starter.json")

    def quantize(self, *more, images=PICTURES, most=2, output=None):
        """Two pictures are enough where numbers do not matter."""
        return clipd("quantize", "--model", MODEL, "--images", images, "--images-max", str(most), "-o",
                     output or self.profile, *more)

    def write_config(self, **keys):
        path = os.path.join(self.folder, "clipd.yaml")
        keys = dict({"path": MODEL, "name": "starter", "precision": "int8",
                     "profile": self.profile}, **keys)
        with open(path, "w", encoding="utf-8") as file:
            file.write("models:\n  - " + json.dumps(keys) + "\n")
        return path

    def read_profile(self):
        with open(self.profile, encoding="utf-8") as file:
            return json.load(file)

    def write_profile(self, profile):
        with open(self.profile, "w", encoding="utf-8") as file:
            json.dump(profile, file)

    def test_table_and_profile(self):
        code, out, err = self.quantize(most=9)
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(os.listdir(self.folder), ["starter.json"])
        mask = os.umask(0)
        os.umask(mask)
        self.assertEqual(os.stat(self.profile).st_mode & 0o777, 0o666 & ~mask)
        lines = out.decode().splitlines()
        self.assertRegex(lines[0], r"^5 pictures \(1 other files\), 64 texts, kernel int8-p\w+-\d+$")
        cosines = r"  [01]\.\d{6}  [01]\.\d{6}  [01]\.\d{6}  [01]\.\d{6}$"
        layers = [line for line in lines if re.match(r" +\d+  (int8|bf16|fp32)  .*" + cosines, line)]
        self.assertEqual([int(line.split()[0]) for line in layers], [1, 2, 3, 4, 5, 6, 1, 2])
        self.assertEqual(len({len(line) for line in lines if re.search(cosines, line)}), 1)
        total = float(lines[-1].split()[1])
        self.assertGreater(total, 0.999)
        profile = self.read_profile()
        self.assertEqual(profile["sha256"], SHA256)
        self.assertEqual((profile["vision"]["inputs"], profile["text"]["inputs"]), (5, 64))
        self.assertEqual([len(profile[tower]["layers"]) for tower in ("vision", "text")], [6, 2])
        worst = min(profile[tower]["cosine"]["min"] for tower in ("vision", "text"))
        self.assertAlmostEqual(worst, total, 6)
        self.assertEqual(self.quantize(most=9)[1], out)

    def test_folders_of_other_layouts(self):
        whole = self.quantize()[1]
        folder = os.path.join(self.folder, "nested")
        shutil.copytree(os.path.join(ROOT, MODEL), folder + "/0_CLIPModel")
        with open(folder + "/modules.json", "w", encoding="ascii") as file:
            file.write("[]")
        code, out, err = self.quantize("--model", folder)
        self.assertEqual((code, out), (0, whole), err)

    def test_a_higher_target_costs_exceptions(self):
        first = self.quantize("--target", "0.99")[1].decode()
        code, second, _ = self.quantize("--target", "0.99999")
        self.assertEqual(code, 0)
        self.assertGreaterEqual(float(second.decode().splitlines()[-1].split()[1]), 0.99999)
        self.assertLess(second.decode().count("int8 "), first.count("int8 "))

    def test_a_pipe_is_written_to_and_not_replaced(self):
        os.mkfifo(self.profile)
        reader = os.open(self.profile, os.O_RDONLY | os.O_NONBLOCK)
        self.assertEqual(self.quantize()[0], 0)
        self.assertEqual(json.loads(os.read(reader, 1 << 16))["sha256"], SHA256)
        os.close(reader)
        self.assertFalse(os.path.isfile(self.profile))

    def test_folders_below(self):
        deep = os.path.join(self.folder, "pictures", "a", "b")
        os.makedirs(deep)
        for i in range(3):
            shutil.copy(os.path.join(ROOT, PICTURES, "ship.jpg"), os.path.join(deep, f"{i}.jpg"))
        os.symlink(os.path.join(self.folder, "pictures"), os.path.join(deep, "loop"))
        code, out, _ = self.quantize(images=os.path.join(self.folder, "pictures"), most=9)
        self.assertEqual((code, out.split(b" ", 1)[0]), (0, b"3"))
        code, out, _ = self.quantize(images=os.path.join(self.folder, "pictures"), most=2)
        self.assertEqual((code, out.split(b" ", 1)[0]), (0, b"2"))

    def test_wrong_usage(self):
        both = ["--images", PICTURES, "-o", self.profile]
        for arguments in ([], both[:2], both[2:], both + ["x"], both + ["--target", "1"],
                          both + ["--target", "0"], both + ["--target", "x"],
                          both + ["--target", "nan"], both + ["--images-max", "1"],
                          both + ["--images-max", "-2"], both + ["--images-max", "4097"],
                          both + ["--frobnicate"]):
            code, out, err = clipd("quantize", "--model", MODEL, *arguments)
            self.assertEqual((code, out), (USAGE, b""), arguments)
            self.assertIn("try 'clipd quantize --help'", err)
        code, out, err = clipd("quantize", *both)
        self.assertEqual((code, out), (USAGE, b""))
        self.assertIn("there is no model", err)
        self.assertEqual(os.listdir(self.folder), [])

    def test_failures_leave_the_file_alone(self):
        self.write_profile({"old": True})
        empty = os.path.join(self.folder, "empty")
        os.mkdir(empty)
        for images, expected, message in (
                ("/nonexistent", NO_INPUT, "/nonexistent"),
                ("README.md", DATA, "README.md is no directory"),
                (empty, DATA, "found 0 pictures (and 0 other files)"),
                ("models", DATA, "expected at least 2")):
            code, out, err = self.quantize(images=images)
            self.assertEqual((code, out), (expected, b""), err)
            self.assertIn(message, err)
        code, out, err = self.quantize(output=os.path.join(self.folder, "none", "x.json"))
        self.assertEqual((code, out), (CANNOT_CREATE, b""))
        code, out, err = self.quantize(output=empty)
        self.assertEqual((code, out), (CANNOT_CREATE, b""))
        self.assertEqual(self.read_profile(), {"old": True})
        self.assertEqual(sorted(os.listdir(self.folder)), ["empty", "starter.json"])

    def test_profile_in_use(self):
        self.assertEqual(self.quantize("--target", "0.99999")[0], 0)
        worst = min(self.read_profile()[tower]["cosine"]["min"] for tower in ("vision", "text"))
        config = self.write_config()
        model, = json.loads(clipd("info", "--config", config)[1])["models"]
        self.assertEqual(model["precision"], "int8")
        quantization = model["quantization"]
        self.assertEqual(quantization["profile"], "starter.json")
        self.assertGreater(quantization["exceptions"], 3)
        self.assertAlmostEqual(quantization["cosine"], worst, 6)
        with Server(args=["--config", config], env=environment()) as server:
            wait_until_ready(server)
            self.assertEqual(json.loads(server.get("/models")[2])["models"], [model])
            self.assertRegex(server.log(), r"loaded model=starter path=\S+ load_ms=\S+ bytes=\d+ kernels=\S+ precision=int8 "
                                           r"cosine=0\.99999\d+ exceptions=\d+ profile=starter\.json\n")

    def test_without_a_profile_it_is_measured(self):
        out = clipd("info", "--model", MODEL, env={"CLIPD_PRECISION": "int8"})[1]
        quantization = json.loads(out)["models"][0]["quantization"]
        self.assertEqual((quantization["profile"], quantization["exceptions"]), (None, 3))
        self.assertGreater(quantization["cosine"], 0.999)
        self.assertLess(quantization["centred_cosine"], quantization["cosine"])

    def test_refused_below_the_limit(self):
        self.assertEqual(self.quantize()[0], 0)
        config = self.write_config(cosine_min=0.99999)
        for command in (["info"], ["serve", "--listen", "127.0.0.1:0"], ["embed", "text", "x"]):
            code, out, err = clipd(*command, "--config", config)
            self.assertEqual((code, out), (DATA, b""), err)
            self.assertIn("cosine_min is 0.99999; clipd quantize", err)
        self.assertEqual(clipd("info", "--config", config, env={"CLIPD_PRECISION": "fp32"})[0], 0)
        code, _, err = clipd("info", "--config", self.write_config(cosine_min=1.1))
        self.assertEqual(code, CONFIG)
        self.assertIn("cosine_min", err)

    def test_wrong_profiles(self):
        config = self.write_config()
        self.assertEqual(clipd("info", "--config", config)[0], NO_INPUT)
        self.assertEqual(self.quantize()[0], 0)
        profile = self.read_profile()
        for change, message in (({"sha256": "0" * 64}, "was made for weights with sha256"),
                                ({"clipd_profile": 2}, "only version 1"),
                                ({"more": 1}, "more")):
            self.write_profile(dict(profile, **change))
            code, out, err = clipd("info", "--config", config)
            self.assertEqual((code, out), (DATA, b""), change)
            self.assertIn(message, err)


if __name__ == "__main__":
    unittest.main()
