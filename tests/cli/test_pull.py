"""`clipd pull`: what it fetches, where it puts it, and what finds it there."""

import fcntl
import json
import os
import pty
import re
import subprocess
import tempfile
import time
import unittest

from hub_server import COMMIT, Hub, digest, sha256
from program import (BINARY, CONFIG, DATA, MODEL, NO_INPUT, ROOT, USAGE, clipd,
                     environment)

NAME = "org/starter"
FOLDER = "models--org--starter"
JUNK = {"README.md": b"# read me", ".gitattributes": b"*.bin lfs", "pytorch_model.bin": b"x" * 999,
        "flax_model.msgpack": b"x", "tf_model.h5": b"x", "onnx/model.onnx": b"x",
        "training_args.bin": b"x"}


def read_starter():
    files = {}
    for name in sorted(os.listdir(os.path.join(ROOT, MODEL))):
        with open(os.path.join(ROOT, MODEL, name), "rb") as file:
            files[name] = file.read()
    return {name: data for name, data in files.items() if name not in ("README.md", "curves.png")}


def megabytes(count):
    return f"{count / 1e6:.1f} MB"


STARTER = read_starter()
WHOLE = megabytes(sum(map(len, STARTER.values())))


class PullTest(unittest.TestCase):
    """A hub with the starter model, and an empty home."""

    files = {**STARTER, **JUNK}

    def setUp(self):
        home = tempfile.TemporaryDirectory()
        self.addCleanup(home.cleanup)
        self.home = home.name
        self.model = os.path.join(self.home, "hub", FOLDER)
        self.snapshot = os.path.join(self.model, "snapshots", COMMIT)
        hub = Hub({NAME: dict(self.files)})
        self.hub = hub.__enter__()
        self.addCleanup(hub.__exit__)

    def run_clipd(self, *arguments, **more):
        return clipd(*arguments, env=self.hub.environment(self.home, **more))

    def pull(self, *arguments, name=NAME, **more):
        return self.run_clipd("pull", *arguments, name, **more)

    def path(self, file):
        return f"/{NAME}/resolve/{COMMIT}/{file}"

    def read(self, *parts):
        with open(os.path.join(self.model, *parts), "rb") as file:
            return file.read()

    def blobs(self):
        return sorted(os.listdir(os.path.join(self.model, "blobs")))

    def write_blob(self, name, data):
        os.makedirs(os.path.join(self.model, "blobs"), exist_ok=True)
        with open(os.path.join(self.model, "blobs", name), "wb") as file:
            file.write(data)

    def assert_whole(self):
        for name, data in STARTER.items():
            self.assertEqual(self.read("snapshots", COMMIT, name), data, name)
        self.assertEqual(self.read("refs", "main"), COMMIT.encode())
        self.assertEqual(self.blobs(), sorted({digest(*item) for item in STARTER.items()}))


class Layout(PullTest):
    def test_only_what_is_needed_in_the_hubs_own_layout(self):
        code, out, err = self.pull()
        self.assertEqual((code, out.decode()), (0, self.snapshot + "\n"), err)
        self.assert_whole()
        self.assertEqual(sorted(os.listdir(self.snapshot)), sorted(STARTER))
        for name, data in STARTER.items():
            self.assertEqual(os.readlink(os.path.join(self.snapshot, name)),
                             "../../blobs/" + digest(name, data))
        self.assertTrue(err.startswith(f"org/starter at 0123456789ab: 6 files, {WHOLE} to fetch\n"), err)
        self.assertIn(f"  model.safetensors, {megabytes(len(STARTER['model.safetensors']))}\n", err)

    def test_a_second_time_nothing_is_fetched(self):
        self.pull()
        self.hub.requests.clear()
        code, out, err = self.pull()
        self.assertEqual((code, out.decode(), err), (0, self.snapshot + "\n", ""))
        self.assertEqual(self.hub.asked(), [f"/api/models/{NAME}/revision/main"])

    def test_a_new_commit_fetches_what_has_changed(self):
        self.pull()
        old, self.hub.commit = self.hub.commit, "f" * 40
        self.hub.repositories[NAME]["config.json"] += b"\n"
        self.hub.requests.clear()
        self.assertEqual(self.pull()[0], 0)
        self.assertEqual([path for path in self.hub.asked(method="GET") if "resolve" in path],
                         [f"/{NAME}/resolve/{'f' * 40}/config.json"])
        self.assertEqual(self.read("refs", "main"), b"f" * 40)
        self.assertEqual(self.read("snapshots", old, "config.json"), STARTER["config.json"])
        self.assertEqual(self.read("snapshots", "f" * 40, "config.json"),
                         STARTER["config.json"] + b"\n")

    def test_a_revision_and_a_commit(self):
        self.hub.revisions.add("refs/pr/1")
        self.assertEqual(self.pull(name=NAME + "@refs/pr/1")[0], 0)
        self.assertEqual(self.read("refs", "refs", "pr", "1"), COMMIT.encode())
        self.assertIn(f"/api/models/{NAME}/revision/refs%2Fpr%2F1", self.hub.asked())
        self.assertEqual(self.pull(name=f"{NAME}@{COMMIT}")[0], 0)
        self.assertEqual(os.listdir(os.path.join(self.model, "refs")), ["refs"])
        self.assertEqual(self.run_clipd("info", "--model", f"{NAME}@{COMMIT}")[0], 0)
        self.assertEqual(self.run_clipd("info", "--model", NAME)[0], NO_INPUT)

    def test_a_name_of_the_catalogue(self):
        self.hub.repositories["timm/resnet50_clip.openai"] = STARTER
        code, out, err = self.pull(name="RN50")
        self.assertEqual(code, 0, err)
        self.assertIn(b"models--timm--resnet50_clip.openai", out)
        code, _, err = self.pull(name="ViT-B-32")
        self.assertEqual(code, DATA)
        self.assertIn("ViT-B-32:openai, ViT-B-32:laion2b_s34b_b79k", err)
        code, _, err = self.pull(name="ViT-Z")
        self.assertEqual(code, NO_INPUT)
        self.assertIn("clipd models", err)

    def test_where_the_cache_is(self):
        with tempfile.TemporaryDirectory() as home:
            for variables, place in (
                    ({"HF_HUB_CACHE": home + "/a"}, "a"),
                    ({"HUGGINGFACE_HUB_CACHE": home + "/b"}, "b"),
                    ({"HF_HOME": home + "/c"}, "c/hub"),
                    ({"HF_HOME": "", "XDG_CACHE_HOME": home + "/d"}, "d/huggingface/hub"),
                    ({"HF_HOME": "", "XDG_CACHE_HOME": "", "HOME": home + "/e"},
                     "e/.cache/huggingface/hub"),
                    ({"HF_HOME": "~/f", "HOME": home}, "f/hub")):
                code, out, err = self.pull("--quiet", **variables)
                self.assertEqual((code, err), (0, ""))
                self.assertEqual(out.decode(), f"{home}/{place}/{FOLDER}/snapshots/{COMMIT}\n")

    def test_sharded_weights(self):
        index = {"metadata": {}, "weight_map": {"a": "model-1.safetensors", "b": "part/2.safetensors",
                                                "c": "model-1.safetensors"}}
        self.hub.repositories["org/shards"] = files = {
            "config.json": b"{}", "model.safetensors.index.json": json.dumps(index).encode(),
            "model-1.safetensors": b"one", "part/2.safetensors": b"two", "3.safetensors": b"three"}
        self.hub.stored.update({sha256(data): data for data in files.values()})
        code, out, err = self.pull(name="org/shards")
        self.assertEqual(code, 0, err)
        found = sorted(os.path.relpath(os.path.join(folder, name), out.decode().strip())
                       for folder, _, names in os.walk(out.decode().strip()) for name in names)
        self.assertEqual(found, sorted(set(files) - {"3.safetensors"}))
        with open(os.path.join(out.decode().strip(), "part/2.safetensors"), "rb") as file:
            self.assertEqual(file.read(), b"two")
        self.assertIn("it comes without a vocabulary", err)

    def test_a_shard_that_is_not_there(self):
        index = {"weight_map": {"a": "gone.safetensors"}}
        self.hub.repositories[NAME] = {"config.json": b"{}",
                                       "model.safetensors.index.json": json.dumps(index).encode()}
        code, _, err = self.pull()
        self.assertEqual(code, DATA)
        self.assertIn("names 'gone.safetensors', which is not there", err)

    def test_no_weights(self):
        self.hub.repositories[NAME] = {"config.json": b"{}", "model.gguf": b""}
        code, _, err = self.pull()
        self.assertEqual(code, DATA)
        self.assertIn("has no weights that are loaded here", err)

    def test_an_empty_file(self):
        self.hub.repositories[NAME]["special_tokens_map.json"] = b""
        self.assertEqual(self.pull()[0], 0)
        self.assertEqual(self.read("snapshots", COMMIT, "special_tokens_map.json"), b"")


class Found(PullTest):
    """What Python has downloaded is found, and used by its name."""

    def write_pythons(self, link=True):
        """As huggingface_hub leaves it: links, or copies where there are none."""
        os.makedirs(self.snapshot)
        os.makedirs(os.path.join(self.model, "refs"))
        with open(os.path.join(self.model, "refs", "main"), "w", encoding="ascii") as file:
            file.write(COMMIT)
        for name, data in STARTER.items():
            self.write_blob(digest(name, data), data)
            at = os.path.join(self.snapshot, name)
            if link:
                os.symlink("../../blobs/" + digest(name, data), at)
            else:
                with open(at, "wb") as file:
                    file.write(data)

    def test_nothing_is_fetched(self):
        for link in (True, False):
            with self.subTest(link=link):
                self.write_pythons(link)
                self.assertEqual(self.pull()[1].decode(), self.snapshot + "\n")
                self.assertEqual(self.hub.asked(), [f"/api/models/{NAME}/revision/main"])
                self.hub.requests.clear()
                subprocess.run(["rm", "-r", self.model], check=True)

    def test_by_its_name(self):
        self.write_pythons()
        config = os.path.join(self.home, "clipd.yaml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"models:\n  - path: {NAME}\n")
        for arguments in (["info", "--model", NAME], ["info", "--config", config],
                          ["serve", "--check-config", "--model", NAME],
                          ["serve", "--check-config", "--config", config],
                          ["tokenize", "--model", NAME, "a ship"],
                          ["preprocess", "--model", NAME, "docs/pictures/ship.jpg", "-o", "-"],
                          ["embed", "text", "--model", NAME, "a ship"]):
            code, _, err = self.run_clipd(*arguments)
            self.assertEqual(code, 0, (arguments, err))
        self.assertEqual(self.hub.requests, [])
        code, out, _ = self.run_clipd("info", "--model", NAME)
        self.assertEqual(json.loads(out)["models"][0]["name"], "starter")

    def test_offline(self):
        code, _, err = self.pull(HF_HUB_OFFLINE="1")
        self.assertEqual(code, NO_INPUT)
        self.assertIn("HF_HUB_OFFLINE is set, and org/starter@main is not in", err)
        self.write_pythons()
        self.assertEqual(self.pull(HF_HUB_OFFLINE="1")[1].decode(), self.snapshot + "\n")
        os.unlink(os.path.join(self.snapshot, "model.safetensors"))
        self.assertEqual(self.pull(HF_HUB_OFFLINE="YES")[0], NO_INPUT)
        self.assertEqual(self.hub.requests, [])

    def test_what_is_not_there_says_how_to_get_it(self):
        for arguments in (["info"], ["embed", "text", "x"], ["quantize", "--images", ".", "-o", "/x"],
                          ["serve", "--listen", "127.0.0.1:0"], ["bench"]):
            code, _, err = self.run_clipd(*arguments, "--model", NAME)
            self.assertEqual(code, NO_INPUT, (arguments, err))
            self.assertIn("run: clipd pull org/starter", err)
        self.assertEqual(self.hub.requests, [])
        code, _, err = self.run_clipd("info", "--model", "ViT-B-32")
        self.assertEqual(code, DATA)
        self.assertIn("is one of", err)
        code, _, err = self.run_clipd("info", "--model", "/no/such/folder")
        self.assertEqual(code, NO_INPUT)
        self.assertNotIn("pull", err)

    def test_models_lists_it(self):
        code, out, err = self.run_clipd("models", "--no-speed")
        self.assertEqual((code, err), (0, ""))
        rows = {row["name"]: row for row in map(json.loads, out.splitlines())}
        self.assertEqual(len(rows), 36)
        row = rows["ViT-B-32:laion2b_s34b_b79k"]
        self.assertEqual((row["gflops"], row["imagenet"], row["folder"], row["family"],
                          row["images_per_second_estimated"]), (14.78, 66.6, None, "vit", None))
        self.hub.repositories["openai/clip-vit-base-patch32"] = STARTER
        folder = self.pull(name="ViT-B-32:openai")[1].decode().strip()
        rows = [json.loads(row) for row in self.run_clipd("models", "--no-speed")[1].splitlines()]
        self.assertEqual([row["name"] for row in rows if row["folder"] == folder],
                         ["ViT-B-32:openai"])

    def test_models_estimates_a_speed(self):
        code, out, err = self.run_clipd("models")
        self.assertEqual(code, 0, err)
        for row in map(json.loads, out.splitlines()):
            self.assertGreater(row["images_per_second_estimated"], 0)


class Screen(PullTest):
    def test_quiet(self):
        self.assertEqual(self.pull("--quiet")[2], "")

    def test_a_bar_on_a_terminal(self):
        controller, terminal = pty.openpty()
        with subprocess.Popen([BINARY, "pull", NAME], cwd=ROOT, stdout=subprocess.PIPE,
                              stderr=terminal,
                              env=environment(**self.hub.environment(self.home))) as process:
            out = process.stdout.read()
        os.close(terminal)
        seen = b""
        while True:
            try:
                part = os.read(controller, 65536)
            except OSError:  # the other side is closed
                break
            seen += part
        os.close(controller)
        self.assertEqual(out.decode(), self.snapshot + "\n")
        self.assertRegex(seen.decode(), r"\r\[#* *\] +\d+ %  \d+(\.\d)? k?M?B of " + re.escape(WHOLE))
        self.assertTrue(seen.endswith(b"\r\x1b[K"))

    def test_usage(self):
        self.assertEqual(clipd("pull")[0], USAGE)
        self.assertEqual(clipd("pull", "--what", NAME)[0], USAGE)
        self.assertEqual(clipd("models", "what")[0], USAGE)
        for command in ("pull", "models"):
            code, out, _ = clipd("help", command)
            self.assertEqual(code, 0)
            self.assertIn(f"usage: clipd {command}".encode(), out)

    def test_settings_that_make_no_sense(self):
        for variables in ({"HF_ENDPOINT": "ftp://host"}, {"HF_ENDPOINT": "http://me@host/?x"},
                          {"HF_TOKEN": "one\r\nX-Two: 2"}, {"HF_HOME": "~/x", "HOME": ""}):
            code, _, err = self.pull(**variables)
            self.assertEqual(code, CONFIG, variables)
            self.assertTrue(err.startswith("clipd: H"), err)


class Together(PullTest):
    def test_two_at_a_time_fetch_each_file_once(self):
        slow = threading_pause()
        data = STARTER["model.safetensors"]
        self.hub.fault("GET", "/stored/" + sha256(data), slow)
        processes = [subprocess.Popen([BINARY, "pull", "--quiet", NAME], cwd=ROOT,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                      env=environment(**self.hub.environment(self.home)))
                     for _ in range(2)]
        for process in processes:
            out, err = process.communicate(timeout=60)
            self.assertEqual((process.returncode, err), (0, b""))
            self.assertEqual(out.decode(), self.snapshot + "\n")
        self.assert_whole()
        bodies = [path for path in self.hub.asked(method="GET") if "resolve" in path]
        self.assertEqual(sorted(bodies), sorted(self.path(name) for name in STARTER))

    def test_pythons_lock_is_waited_for(self):
        name = sha256(STARTER["model.safetensors"])
        locks = os.path.join(self.home, "hub/.locks", FOLDER)
        os.makedirs(locks)
        with open(os.path.join(locks, name + ".lock"), "wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with subprocess.Popen([BINARY, "pull", NAME], cwd=ROOT, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE,
                                  env=environment(**self.hub.environment(self.home))) as process:
                others = len(STARTER) - 1
                while len([b for b in self.blobs_or_none() if "." not in b]) < others:
                    self.assertIsNone(process.poll())
                    time.sleep(0.02)
                self.assertNotIn("/stored/" + name, self.hub.asked())
                self.write_blob(name, STARTER["model.safetensors"])  # as Python would
                fcntl.flock(lock, fcntl.LOCK_UN)
                err = process.communicate(timeout=60)[1].decode()
                self.assertEqual(process.returncode, 0)
        self.assertEqual(err.count("model.safetensors: another process is fetching it"), 1)
        self.assert_whole()
        self.assertNotIn("/stored/" + name, self.hub.asked())

    def blobs_or_none(self):
        try:
            return self.blobs()
        except FileNotFoundError:
            return []


def threading_pause():
    """An answer that takes its time, so that another process comes meanwhile."""
    def answer(handler):
        time.sleep(1)
        handler.reply_file(STARTER["model.safetensors"])
    return answer


if __name__ == "__main__":
    unittest.main()
