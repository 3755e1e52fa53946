"""A folder of images as a collection: indexed, indexed again, followed, searched, deduped."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest

from program import (BINARY, CONFIG, DATA, MODEL, NO_INPUT, ROOT, UNAVAILABLE, USAGE, clipd, environment,
                     on_terminal)

sys.path.insert(0, os.path.join(ROOT, "tests/http"))
from harness import SHARED, Server, sanitized
from images import png
from postgres import InPostgres

PICTURES = os.path.join(ROOT, "docs/pictures")


def lines(output):
    return [json.loads(line) for line in output.splitlines()]


def wait_until_idle(process):
    """Until it has taken no time of the CPU for a second: it waits for something to happen."""
    taken = None
    while process.poll() is None:
        with open(f"/proc/{process.pid}/stat", encoding="utf-8") as file:
            before, taken = taken, file.read().rsplit(")", 1)[1].split()[11:13]
        if taken == before:
            return
        time.sleep(1)


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = os.path.realpath(tempfile.mkdtemp())
        self.pictures = os.path.join(self.folder, "pictures")
        os.makedirs(self.pictures + "/deep/er")
        for name, target in (("ship.jpg", "ship.jpg"), ("airplane.jpg", "deep/er/air plane.JPG")):
            shutil.copy(os.path.join(PICTURES, name), os.path.join(self.pictures, target))
        for name in ("notes.txt", ".hidden.jpg"):
            self.write(name, b"x")
        self.env = {"CLIPD_STORE": self.location(), "CLIPD_MODEL": MODEL, "CLIPD_PRECISION": "fp32"}

    def location(self):
        return self.folder + "/store"

    def tearDown(self):
        shutil.rmtree(self.folder)

    def path(self, name):
        return os.path.join(self.pictures, name)

    def write(self, name, data):
        with open(self.path(name), "wb") as file:
            file.write(data)

    def run_it(self, *arguments, code=0):
        found, out, err = clipd(*arguments, env=self.env)
        self.assertEqual(found, code, err)
        return out, err

    def index(self, *more, code=0):
        """(put in, unchanged, failed, taken out)"""
        _, err = self.run_it("index", self.pictures, "--collection", "photos", *more, code=code)
        return tuple(map(int, re.search(
            r"(\d+) put in, (\d+) unchanged, (\d+) failed, (\d+) taken out", err).groups()))

    def search(self, *arguments):
        return lines(self.run_it("search", *arguments, "--collection", "photos")[0])


class Stores(Folder):
    def test_again_and_again(self):
        self.assertEqual(self.index(), (2, 0, 0, 0))
        self.assertEqual(self.index(), (0, 2, 0, 0))
        self.write("new.png", png(30, 20))
        self.write("broken.png", b"\x89PNG\r\n\x1a\n")
        self.assertEqual(self.index(code=DATA), (1, 2, 1, 0))
        os.utime(self.path("ship.jpg"), (1, 1))
        os.remove(self.path("broken.png"))
        os.remove(self.path("new.png"))
        self.assertEqual(self.index(), (1, 1, 0, 0))
        self.assertEqual(len(self.search("a ship")), 3)
        self.assertEqual(self.index("--prune"), (0, 2, 0, 1))
        self.assertEqual(len(self.search("a ship")), 2)

    def test_other_files_are_told_of(self):
        for name, target in (("ship.jpg", "a.JFIF"), ("cat.jpg", "b.jpe"), ("dog.jpg", "c.heic")):
            shutil.copy(os.path.join(PICTURES, name), self.path(target))
        _, err = self.run_it("index", self.pictures, "--collection", "photos")
        self.assertIn("4 put in, 0 unchanged, 0 failed, 0 taken out (2 other files)", err)
        self.assertEqual(len(self.search("a ship")), 4)
        _, err = self.run_it("index", self.path("a.JFIF"), "--collection", "photos")
        self.assertIn("0 put in, 1 unchanged, 0 failed, 0 taken out (0 other files)", err)
        for folders in ([self.path("notes.txt")], [self.pictures, self.path("c.heic")]):
            _, err = self.run_it("index", *folders, "--collection", "fresh", code=DATA)
            self.assertIn(f"{folders[-1]} is no image by its name, expected a folder, or .jpg", err)
        self.assertNotIn(b"fresh", self.run_it("collections")[0])

    def test_prune_leaves_other_folders(self):
        self.index()
        os.makedirs(self.folder + "/pictures2")
        shutil.move(self.path("ship.jpg"), self.folder + "/pictures2/ship.jpg")
        self.run_it("index", self.folder + "/pictures2", "--collection", "photos")
        os.remove(self.folder + "/pictures2/ship.jpg")
        self.assertEqual(self.index("--prune"), (0, 1, 0, 1))
        ids = [hit["id"] for hit in self.search("a ship")]
        self.assertIn(self.folder + "/pictures2/ship.jpg", ids)

    def test_prune_takes_out_only_what_is_gone(self):
        self.index()
        shutil.rmtree(self.path("deep"))
        os.symlink("deep", self.path("deep"))  # of what is below, nobody can tell
        self.assertEqual(self.index("--prune"), (0, 1, 0, 0))
        os.remove(self.path("deep"))
        self.write("deep", b"")  # below a file there is nothing
        self.assertEqual(self.index("--prune"), (0, 1, 0, 1))

    def test_prune_leaves_what_could_not_be_read(self):
        folder = self.pictures + "/d" * 70  # deeper than a walk goes
        os.makedirs(folder)
        shutil.copy(self.path("ship.jpg"), folder + "/ship.jpg")
        self.run_it("index", folder, "--collection", "photos")
        os.remove(folder + "/ship.jpg")
        self.assertEqual(self.index("--prune"), (2, 0, 0, 0))
        _, err = self.run_it("index", folder, "--collection", "photos", "--prune")
        self.assertIn("1 taken out", err)

    def test_search(self):
        self.index()
        hits = self.search("a photo of a ship", "--top-k", "2")
        self.assertEqual([hit["metadata"]["name"] for hit in hits], ["ship.jpg", "air plane.JPG"])
        self.assertEqual(hits[0]["id"], self.path("ship.jpg"))
        self.assertEqual(hits[0]["metadata"]["size"], os.stat(self.path("ship.jpg")).st_size)
        self.assertAlmostEqual(hits[0]["score"], 0.582, places=2)
        hits = self.search("--image", "docs/pictures/airplane.jpg", "--top-k", "1")
        self.assertAlmostEqual(hits[0]["score"], 1, places=5)
        self.assertEqual(hits[0]["metadata"]["name"], "air plane.JPG")
        mixed = self.search("a photo of a ship", "--image", "docs/pictures/airplane.jpg")
        self.assertLess(mixed[0]["score"], 1)

    def test_dedupe(self):
        shutil.copy(self.path("ship.jpg"), self.path("again.jpg"))
        with open(self.path("ship.jpg"), "rb") as file:
            self.write("nearly.jpg", file.read() + b"\0")
        self.index()
        clusters = lines(self.run_it("dedupe", "--collection", "photos")[0])
        names = [(c["tier"], [os.path.basename(item["id"]) for item in c["items"]]) for c in clusters]
        self.assertEqual(names, [("file", ["again.jpg", "ship.jpg"]),
                                 ("embedding", ["again.jpg", "nearly.jpg", "ship.jpg"])])

    def test_collections(self):
        self.assertEqual(self.run_it("collections")[0], b"")
        self.index()
        [found] = lines(self.run_it("collections")[0])
        self.assertEqual((found["name"], found["items"], found["model"]), ("photos", 2, "starter"))
        self.run_it("collections", "--drop", "photos")
        self.assertEqual(self.run_it("collections")[0], b"")
        self.run_it("collections", "--drop", "photos", code=NO_INPUT)


class StoresInPostgres(InPostgres, Stores):
    def setUp(self):
        super().setUp()
        clipd("collections", "--drop", "photos", env=self.env)

    def test_beside_a_server(self):
        with Server(MODEL, args=["--set", "store.location=" + self.env["CLIPD_STORE"]]) as server:
            while server.get("/readyz")[0] != 200:
                time.sleep(0.01)
            self.index()
            status, _, body = server.post("/collections/photos/search", '{"text": "a ship", "top_k": 1}',
                                          "application/json")
            self.assertEqual((status, json.loads(body)["results"][0]["hits"][0]["id"]),
                             (200, self.path("ship.jpg")))
            self.run_it("collections", "--drop", "photos")
            self.assertEqual(server.get("/collections/photos")[0], 404)


class Library(Folder):
    def test_many_files(self):
        for i in range(70):
            self.write(f"{i}.png", png(8 + i, 8))
        self.assertEqual(self.index("--no-thumbnails"), (72, 0, 0, 0))
        self.assertEqual(self.index(), (0, 72, 0, 0))

    def test_names_that_cannot_be_ids(self):
        folder = os.fsencode(self.pictures)
        long = b"n" * 200
        for name in (b"d\xf6g.png", b"two\nlines.png", b"\xff/below.png",
                     long + b"/" + long + b"/" + long + b".png"):
            os.makedirs(os.path.dirname(folder + b"/" + name), exist_ok=True)
            with open(folder + b"/" + name, "wb") as file:
                file.write(png(9, 9))
        _, err = self.run_it("index", self.pictures, "--collection", "photos", code=DATA)
        self.assertIn("2 put in, 0 unchanged, 4 failed", err)
        self.assertIn("/d?g.png: an id is not UTF-8", err)
        self.assertIn("/two lines.png: an id has a control character", err)
        self.assertIn(f"/{'n' * 200}.png: an id has", err)
        self.assertEqual(self.index("--prune", code=DATA), (0, 2, 4, 0))
        _, err = self.run_it("index", folder + b"/\xff", "--collection", "photos", "--prune", code=DATA)
        self.assertIn("0 put in, 0 unchanged, 1 failed, 0 taken out", err)

    def test_follow_goes_on_after_a_bad_name(self):
        process = subprocess.Popen([BINARY, "index", self.pictures, "--collection", "photos", "--follow"],
                                   cwd=ROOT, env=environment(**self.env), stderr=subprocess.PIPE)
        try:
            self.assertIn(b"2 put in", process.stderr.readline())
            bad = os.fsencode(self.pictures) + b"/d\xf6g.png"
            with open(bad, "wb") as file:
                file.write(png(9, 9))
            self.assertIn(b"/d?g.png: an id is not UTF-8", process.stderr.readline())
            os.remove(bad)
            self.write("good.png", png(9, 9))
            wait_until_idle(process)
            self.assertIsNone(process.poll())
        finally:
            process.terminate()
            process.communicate()
        self.assertEqual(len(self.search("x")), 3)

    def test_a_terminal_gets_no_control_characters(self):
        shutil.copy(self.path("ship.jpg"), self.path("\x9b31m.jpg"))
        self.env["CLIPD_MODEL"] = self.folder + "/\x9b31m"
        shutil.copytree(os.path.join(ROOT, MODEL), self.env["CLIPD_MODEL"])
        self.index()
        for arguments, shown in ((["search", "a ship", "--collection", "photos"], "pictures/??31m.jpg"),
                                 (["dedupe", "--collection", "photos"], "pictures/??31m.jpg"),
                                 (["collections"], "??31m (")):
            text = " ".join(on_terminal(*arguments, env=self.env))
            self.assertIn(shown, text)
            self.assertNotIn("\x9b", text)

    def test_a_page(self):
        name = "<img src=x onerror=alert(1)>&'\".png"
        self.write(name, png(300, 200))
        self.index()
        page = self.folder + "/page.html"
        self.run_it("search", "<script>ship", "--collection", "photos", "--html", page)
        with open(page, encoding="utf-8") as file:
            text = file.read()
        self.assertEqual(self.run_it("search", "<script>ship", "--collection", "photos", "--html", "-")[0],
                         text.encode())
        self.assertEqual(text.count("<figure>"), 3)
        self.assertEqual(text.count("<img alt=\"\" src=\"data:image/"), 3)
        self.assertNotIn("<script", text)
        self.assertNotIn("<img src", text)
        self.assertIn("&#60;img src=x onerror=alert(1)&#62;&#38;&#39;&#34;.png", text)
        self.assertIn("default-src 'none'", text)

    def test_open(self):
        self.index()
        tools = self.folder + "/bin"
        os.makedirs(tools)
        with open(tools + "/xdg-open", "w", encoding="ascii") as file:
            file.write(f'#!/bin/sh\necho "$1" > {self.folder}/shown\n')
        os.chmod(tools + "/xdg-open", 0o755)
        self.env["PATH"] = tools + ":" + os.environ["PATH"]
        self.run_it("search", "a ship", "--collection", "photos", "--open")
        with open(self.folder + "/shown", encoding="ascii") as file:
            shown = file.read().strip()
        with open(shown, encoding="utf-8") as file:
            self.assertIn("<figure>", file.read())
        os.remove(shown)
        self.env["PATH"] = "/nonexistent"
        self.run_it("search", "a ship", "--collection", "photos", "--open", code=UNAVAILABLE)

    def test_follow(self):
        process = subprocess.Popen([BINARY, "index", self.pictures, "--collection", "photos", "--follow"],
                                   cwd=ROOT, env=environment(**self.env), stderr=subprocess.PIPE)
        try:
            self.assertIn(b"2 put in", process.stderr.readline())
            self.write("first.png", png(9, 9))
            os.makedirs(self.path("new/folder"))
            time.sleep(0.3)
            self.write("new/folder/second.png", png(10, 9))
            shutil.move(self.path("ship.jpg"), self.path("boat.jpg"))
            os.remove(self.path("deep/er/air plane.JPG"))
            wait_until_idle(process)
            self.assertIsNone(process.poll())
        finally:
            process.terminate()
            process.communicate()
        names = {os.path.basename(hit["id"]) for hit in self.search("x")}
        self.assertEqual(names, {"first.png", "second.png", "boat.jpg"})

    def test_follow_moved_folders(self):
        shutil.copytree(self.path("deep"), self.path("other/deep"))
        process = subprocess.Popen([BINARY, "index", self.pictures, "--collection", "photos", "--follow"],
                                   cwd=ROOT, env=environment(**self.env), stderr=subprocess.PIPE)
        try:
            self.assertIn(b"3 put in", process.stderr.readline())
            os.rename(self.path("other"), self.path("third"))
            os.rename(self.path("deep"), self.path("middle"))
            wait_until_idle(process)
            self.write("third/deep/new.png", png(9, 9))
            os.rename(self.path("middle"), self.folder + "/elsewhere")
            with open(self.folder + "/elsewhere/none.png", "wb") as file:
                file.write(png(9, 9))
            wait_until_idle(process)
            self.assertIsNone(process.poll())
        finally:
            process.terminate()
            process.communicate()
        names = {hit["id"].removeprefix(self.pictures) for hit in self.search("x")}
        self.assertEqual(names, {"/ship.jpg", "/third/deep/er/air plane.JPG", "/third/deep/new.png"})

    def test_follow_ends_with_its_folder(self):
        other = self.folder + "/other"
        for change in (lambda: os.rename(self.pictures, self.folder + "/moved"), lambda: shutil.rmtree(other)):
            os.makedirs(other, exist_ok=True)
            folders = [folder for folder in (self.pictures, other) if os.path.isdir(folder)]
            process = subprocess.Popen([BINARY, "index", *folders, "--collection", "photos", "--follow"],
                                       cwd=ROOT, env=environment(**self.env), stderr=subprocess.PIPE)
            self.assertIn(b" put in", process.stderr.readline())
            wait_until_idle(process)
            change()
            try:
                _, err = process.communicate(timeout=60)
            finally:
                process.kill()
                process.wait()
            self.assertEqual(process.returncode, NO_INPUT, err)
            gone = folders[0].encode()
            self.assertEqual(err, b"clipd: " + gone + b" was moved or deleted: it is followed no more\n")
        self.assertEqual(len(self.search("x")), 2)

    def test_an_interruption_loses_nothing(self):
        for i in range(200):
            self.write(f"{i}.png", png(300, 300, (i, 0, 0)))
        process = subprocess.Popen([BINARY, "index", self.pictures, "--collection", "photos"],
                                   cwd=ROOT, env=environment(**self.env), stderr=subprocess.DEVNULL)
        time.sleep(0.6)
        process.kill()
        process.wait()
        put, unchanged, _, _ = self.index()
        self.assertEqual(put + unchanged, 202)
        self.assertEqual(self.index()[1], 202)

    def test_beside_a_server(self):
        with Server(MODEL, args=["--set", "store.location=" + self.env["CLIPD_STORE"]]) as server:
            while server.get("/readyz")[0] != 200:
                time.sleep(0.01)
            code, out, err = clipd("collections", env=self.env)
            self.assertEqual((code, out), (UNAVAILABLE, b""))
            self.assertIn("if a server has it open, stop the server, or ask it over HTTP", err)

    def test_a_database_that_is_away(self):
        self.env["CLIPD_STORE"] = "postgresql://127.0.0.1:1/none"
        _, err = self.run_it("collections", code=UNAVAILABLE)
        self.assertIn("Connection refused", err)
        self.assertNotIn("a server has it open", err)

    def test_another_model(self):
        self.index()
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(os.path.join(ROOT, MODEL), folder + "/m")
            weights = folder + "/m/model.safetensors"
            with open(weights, "r+b") as file:
                file.seek(-4, os.SEEK_END)
                file.write(b"\0\0\0\0")
            self.env["CLIPD_MODEL"] = folder + "/m"
            _, err = self.run_it("index", self.pictures, "--collection", "photos", code=DATA)
            self.assertIn("is of model starter", err)
            self.run_it("search", "x", "--collection", "photos", code=DATA)

    def test_other_dimensions(self):
        with Server(MODEL, args=["--set", "store.location=" + self.env["CLIPD_STORE"]]) as server:
            while server.get("/readyz")[0] != 200:
                time.sleep(0.01)
            [model] = json.loads(server.get("/models")[2])["models"]
            spec = {"model": "starter", "model_digest": model["sha256"], "dim": 1}
            status, _, body = server.request("PUT", "/collections/photos", json.dumps(spec),
                                             {"Content-Type": "application/json"})
            self.assertEqual(status, 200, body)
            server.stop()
        self.assertEqual(self.index(code=DATA), (0, 0, 2, 0))
        _, err = self.run_it("search", "x", "--collection", "photos", code=DATA)
        self.assertIn("192 dimensions, those of collection \"photos\" have 1", err)

    def test_wrong_usage(self):
        for arguments in (["index"], ["index", "x"], ["index", "--collection", "x"], ["search"],
                          ["search", "x"], ["search", "x", "y", "--collection", "z"],
                          ["search", "--collection", "x"], ["search", "x", "--collection", "y", "--top-k", "0"],
                          ["dedupe"], ["dedupe", "x", "--collection", "y"],
                          ["dedupe", "--collection", "x", "--threshold", "2"], ["collections", "x"],
                          ["eval"], ["eval", "speed", "x"], ["eval", "retrieval"]):
            out, err = self.run_it(*arguments, code=USAGE)
            self.assertEqual(out, b"")
            self.assertNotEqual(err, "")
        self.run_it("index", "/nonexistent", "--collection", "x", code=NO_INPUT)
        self.run_it("search", "x", "--collection", "none", code=NO_INPUT)
        self.run_it("search", "x", "--collection", ".", code=DATA)

    def test_the_users_own_store(self):
        del self.env["CLIPD_STORE"]
        self.env["XDG_DATA_HOME"] = self.folder + "/data"
        self.env["CLIPD_ABSENT"] = "1"
        _, err = self.run_it("index", self.pictures, "--collection", "photos")
        self.assertTrue(os.path.isdir(self.folder + "/data/clipd"))
        self.assertEqual(err.count("CLIPD_ABSENT"), 1, err)
        del self.env["XDG_DATA_HOME"]
        self.env["HOME"] = ""
        _, err = self.run_it("collections", code=CONFIG)
        self.assertIn("expected a directory (--store DIR", err)
        _, err = self.run_it("serve", "--set", "store.location=auto", code=CONFIG)
        self.assertIn("store.location is auto, and neither", err)


class Evaluation(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.archive, self.env = self.folder + "/pictures.tar", {"CLIPD_STORE": self.folder + "/s"}

    def tearDown(self):
        shutil.rmtree(self.folder)

    def pack(self, pictures, captions, form=tarfile.DEFAULT_FORMAT):
        """An archive of {name in it: name in docs/pictures} and captions.json."""
        with tarfile.open(self.archive, "w", format=form) as tar:
            for name, picture in pictures.items():
                tar.add(os.path.join(PICTURES, picture), name)
            data = json.dumps(captions).encode()
            member = tarfile.TarInfo("captions.json")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))

    def measure(self, expected=0):
        code, out, err = clipd("eval", "retrieval", self.archive, "--model", MODEL, env=self.env)
        self.assertEqual(code, expected, err)
        self.assertEqual(clipd("collections", env=self.env)[1], b"")
        return err if expected else json.loads(out)

    def test_our_pictures(self):
        captions = {f"{name}.jpg": [f"a photo of a {name}.", f"a drawing of a {name}"]
                    for name in ("airplane", "car", "cat", "dog", "ship")}
        self.pack({name: name for name in captions}, captions)
        found = self.measure()
        self.assertEqual((found["images"], found["captions"]), (5, 10))
        self.assertEqual(found["recall@5"], 1)
        self.assertGreaterEqual(found["recall@1"], 0.5)

    def test_long_names(self):
        folder = "a-folder-of-pictures/" * 6
        for form, name in ((tarfile.USTAR_FORMAT, folder), (tarfile.GNU_FORMAT, folder + "x" * 180),
                           (tarfile.PAX_FORMAT, folder + "x" * 180), (tarfile.PAX_FORMAT, "é")):
            captions = {f"{name}{animal}.jpg": [f"a photo of a {animal}."] for animal in ("cat", "ship")}
            self.pack({other: other.removeprefix(name) for other in captions}, captions, form)
            found = self.measure()
            self.assertEqual((found["images"], found["captions"], found["recall@1"]), (2, 2, 1))

    def test_a_folder_packed_as_it_stands(self):
        folder = self.folder + "/pictures"
        os.makedirs(folder + "/b")
        for name in ("cat.jpg", "b/ship.jpg"):
            shutil.copy(os.path.join(PICTURES, os.path.basename(name)), os.path.join(folder, name))
        with open(folder + "/captions.json", "w", encoding="utf-8") as file:
            json.dump({"cat.jpg": ["a photo of a cat."], "b/ship.jpg": ["a photo of a ship."]}, file)
        subprocess.run(["tar", "cf", self.archive, "-C", folder, "."], check=True)
        found = self.measure()
        self.assertEqual((found["images"], found["captions"], found["recall@1"]), (2, 2, 1))

    def test_captions_that_cannot_be_found(self):
        self.pack({"cat.jpg": "cat.jpg"}, {"cat.jpg": ["a cat"], "dog.jpg": ["a dog"]})
        self.assertIn("captions of dog.jpg, which is not in the archive", self.measure(DATA))
        self.pack({"cat.jpg": "cat.jpg"}, {"cat.jpg": "a cat"})
        self.assertIn("at cat.jpg, expected a list of texts", self.measure(DATA))
        self.pack({"x" * 520: "cat.jpg"}, {"x" * 520: ["a cat"]}, tarfile.GNU_FORMAT)
        self.assertIn("a name has 520 bytes", self.measure(DATA))

    def test_broken_archives(self):
        self.pack({"é.jpg": "cat.jpg"}, {"é.jpg": ["a cat"]}, tarfile.PAX_FORMAT)
        with open(self.archive, "rb") as file:
            good = file.read()
        record = good.index(b"path=") - 3
        for bad in (good[:520], good[:record] + b"99" + good[record + 2:],
                    good[:record] + b"00" + good[record + 2:], good[:record] + b"xx" + good[record + 2:]):
            with open(self.archive, "wb") as file:
                file.write(bad)
            self.assertIn("a damaged one", self.measure(DATA))

    def test_a_collection_of_its_own(self):
        first = ["unshare", "--pid", "--fork"]  # as in a container, every process is number 1
        if subprocess.run([*first, "true"], check=False, capture_output=True).returncode:
            self.skipTest("no namespaces of process ids")
        self.pack({"cat.jpg": "cat.jpg"}, {"cat.jpg": ["a cat"]})
        self.env["CLIPD_MODEL"] = MODEL
        code, _, err = clipd("index", PICTURES, "--collection", "eval-1", env=self.env)
        self.assertEqual(code, 0, err)
        done = subprocess.run([*first, BINARY, "eval", "retrieval", self.archive], cwd=ROOT, check=False,
                              env=environment(**self.env), capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        [left] = lines(clipd("collections", env=self.env)[1])
        self.assertEqual((left["name"], left["items"]), ("eval-1", 5))

    @unittest.skipIf(sanitized(), "a thousand pictures have the same recall in every build")
    def test_retrieval(self):
        archive = os.path.join(SHARED, "training/flickr8k-1000.tar")
        if not os.path.exists(archive):
            self.skipTest("no photographs with captions")
        with tempfile.TemporaryDirectory() as folder:
            env = {"CLIPD_STORE": folder + "/s", "CLIPD_PRECISION": "fp32"}
            code, out, err = clipd("eval", "retrieval", archive, "--model", MODEL, env=env)
            self.assertEqual(code, 0, err)
            found = json.loads(out)
            self.assertEqual((found["images"], found["captions"]), (1000, 5000))
            for depth, recall in ((1, 0.490), (5, 0.776), (10, 0.844)):
                self.assertAlmostEqual(found[f"recall@{depth}"], recall, delta=0.005)
            self.assertEqual(clipd("collections", env=env)[1], b"")

    def test_no_archive(self):
        with tempfile.TemporaryDirectory() as folder:
            env = {"CLIPD_STORE": folder + "/s"}
            for path, expected in (("README.md", DATA), ("/nonexistent", NO_INPUT)):
                self.assertEqual(clipd("eval", "retrieval", path, "--model", MODEL, env=env)[0], expected)
            self.assertEqual(clipd("collections", env=env)[1], b"")


if __name__ == "__main__":
    unittest.main()
