"""Several models in one server: lazy loads, room that is made, and configurations that change
while requests run, without one being lost."""

import json
import os
import shutil
import signal
import tempfile
import threading
import time
import unittest

import contract
import test_metrics
from harness import ROOT, Server
from images import png, text
from store import MODEL_STATUSES

STARTER = os.path.join(ROOT, "models/starter")
SIZES = {"a": 32, "b": 40, "c": 48}


def entry(name, load="lazy", path=STARTER, **more):
    return {"name": name, "path": path, "load": load, "image_size": SIZES[name],
            "precision": "fp32", **more}


def wait_until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Several(contract.Contract):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.config = os.path.join(self.folder, "clipd.yaml")

    def write(self, models, **engine):
        """JSON is YAML, too."""
        with open(self.config + ".new", "w", encoding="utf-8") as file:
            json.dump({"engine": engine, "models": models}, file)
        os.replace(self.config + ".new", self.config)

    def start(self, models, args=(), **engine):
        self.write(models, **engine)
        server = Server(args=["--config", self.config, *args], env={"HOME": self.folder})
        server.__enter__()
        self.addCleanup(server.__exit__, None, None, None)
        wait_until(lambda: server.get("/readyz")[0] == 200)
        return server

    def reload(self, server, models, expect="the configuration was read again", **engine):
        self.write(models, **engine)
        said = server.log().count("SIGHUP")
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: server.log().count("SIGHUP") > said)
        self.assertIn(expect, server.log().rpartition("SIGHUP")[2])

    def embed(self, server, model=None, status=200):
        body = json.dumps({"image": PICTURE, **({"model": model} if model else {})})
        return self.answer("embedImage", status,
                           server.post("/embed/image", body, "application/json", timeout=120))

    def states(self, server):
        answer = self.answer("listModels", 200, server.get("/models"))
        ready = self.answer("ready", 200, server.get("/readyz"))["models"]
        states = {model["name"]: model["state"] for model in answer["models"]}
        self.assertEqual(set(ready), set(states))
        return states

    def test_lazy(self):
        server = self.start([entry("a", "eager", default=True), entry("b")])
        self.assertEqual(self.states(server), {"a": "loaded", "b": "unloaded"})
        models = json.loads(server.get("/v1/models")[2])["data"]
        self.assertEqual([model["id"] for model in models], ["a", "b"])
        self.assertEqual(self.embed(server)["model"], "a")
        self.assertEqual(self.embed(server, "b")["model"], "b")
        self.assertEqual(self.states(server), {"a": "loaded", "b": "loaded"})
        families = test_metrics.parse(server.get("/metrics")[2].decode())
        for name in ("a", "b"):
            label = ("model", name)
            self.assertEqual(families["clipd_model_loaded"][1]["", label], 1)
            self.assertEqual(families["clipd_model_loads_total"][1]["", label], 1)
            self.assertEqual(families["clipd_model_evictions_total"][1]["", label], 0)
            self.assertEqual(families["clipd_model_load_seconds"][1]["_count", label], 1)
            self.assertGreater(families["clipd_model_resident_bytes"][1]["", label], 1 << 20)

    def test_failures(self):
        late = os.path.join(self.folder, "late")
        server = self.start([entry("a", "eager", default=True), entry("b", path=late)])
        problem = self.embed(server, "b", 503)
        self.assertIn(late, problem["detail"])
        failure = json.loads(server.get("/models")[2])["models"][1]
        self.assertEqual(failure["state"], "unloaded")
        self.assertIn(late, failure["failure"])
        os.mkdir(late)
        for name in ("config.json", "model.safetensors"):
            with open(os.path.join(late, name), "wb") as file:
                file.write(b"{" * 64)
        self.embed(server, "b", 422)
        shutil.rmtree(late)
        os.symlink(STARTER, late)
        self.assertEqual(self.embed(server, "b")["model"], "b")
        families = test_metrics.parse(server.get("/metrics")[2].decode())
        self.assertEqual(families["clipd_model_load_failures_total"][1]["", ("model", "b")], 2)

    def test_limits_of_a_model(self):
        server = self.start([entry("a", "eager", default=True), entry("b", "eager", pixels_max=100)])
        self.embed(server, "a")
        self.assertIn("limit", self.embed(server, "b", 413)["detail"])

    def test_wrong_configurations(self):
        server = self.start([entry("a", "eager", default=True)])
        wrong = {
            "models[1].load: found 'late'": [entry("a", "eager", default=True), entry("b", "late")],
            "/nonexistent": [entry("a", "eager", default=True), entry("b", "eager", path="/nonexistent")],
            "there is no model": [],
        }
        for words, models in wrong.items():
            self.reload(server, models, words)
            self.assertEqual(self.states(server), {"a": "loaded"})
            self.embed(server, "a")
        self.reload(server, [entry("a", "eager", default=True), entry("b")])
        self.assertEqual(self.embed(server, "b")["model"], "b")
        self.assertNotIn("new start", server.log())
        self.reload(server, [entry("a", "eager", default=True)], batch_max=3)
        self.assertIn("new start", server.log())

    def test_before_the_start(self):
        """SIGHUP while models are loaded is not the end, but a reload afterwards."""
        self.write([entry("a", "eager", default=True)])
        with Server(args=["--config", self.config], env={"HOME": self.folder}) as server:
            server.process.send_signal(signal.SIGHUP)
            wait_until(lambda: "SIGHUP" in server.log())
            self.embed(server, "a")

    def test_collections(self):
        """A collection's model is evicted like any other, and comes back when it is asked for."""
        other = entry("b", path=os.path.join(ROOT, "tests/golden/torch/vision"))
        other.pop("image_size")
        server = self.start([entry("a", default=True), other],
                            args=["--set", f"store.location={self.folder}/store"])
        self.embed(server, "a")
        bound = json.loads(server.get("/models")[2])["models"][0]["bytes"]
        self.reload(server, [entry("a", default=True), other], models_memory_max=bound)
        create = server.request("PUT", "/collections/c", '{"model": "a"}',
                                {"Content-Type": "application/json"})
        self.assertEqual(create[0], 200)
        items = json.dumps({"items": [{"id": "1", "text": "a ship"}]})
        search = json.dumps({"text": "a ship"})
        for _ in range(3):
            self.embed(server, "b")
            self.assertEqual(self.states(server)["a"], "unloaded")
            self.assertEqual(server.post("/collections/c/items", items, "application/json")[0], 200)
            self.embed(server, "b")
            answer = json.loads(server.post("/collections/c/search", search, "application/json")[2])
            self.assertEqual(answer["results"][0]["hits"][0]["id"], "1")
            self.assertEqual(self.states(server)["a"], "loaded")
        other["default"] = True
        self.reload(server, [other], models_memory_max=bound)
        self.assertEqual(server.post("/collections/c/search", search, "application/json")[0], 409)

    def test_collections_of_models_that_do_not_load(self):
        bad = entry("b", path=self.folder)
        with open(os.path.join(self.folder, "config.json"), "wb") as file:
            file.write(b"{")
        with open(os.path.join(self.folder, "model.safetensors"), "wb") as file:
            file.write(b"{" * 64)
        for deadline, status in (("30s", 422), ("1ms", 504)):
            server = self.start([entry("a", default=True), bad],
                                args=["--set", f"store.location={self.folder}/store{status}",
                                      "--set", f"limits.deadline={deadline}"])
            self.answer("putCollection", status, server.request(
                "PUT", "/collections/c", json.dumps({"model": "b" if status == 422 else "a"}),
                {"Content-Type": "application/json"}))
        self.assertLessEqual(MODEL_STATUSES, contract.seen)

    def test_nothing_is_lost(self):
        """Three models in the room of two, asked without a pause, while SIGHUP adds, changes and
        drops them: every answer is there, and is that of its model, to the bit."""
        models = [entry(name, default=name == "a") for name in SIZES]
        server = self.start(models)
        expected = {name: self.embed(server, name)["embeddings"] for name in SIZES}
        bound = 2 * max(model["bytes"] for model in json.loads(server.get("/models")[2])["models"])
        self.reload(server, models, models_memory_max=bound)
        stop, wrong, done = threading.Event(), [], []

        def ask(names):
            turn = 0
            while not stop.is_set():
                name = names[turn % len(names)]
                turn += 1
                try:
                    answer = self.embed(server, name)
                    if answer["embeddings"] != expected[name] or answer["model"] != name:
                        wrong.append(name)
                    done.append(name)
                except Exception as error:  # any at all is a request lost
                    wrong.append(error)

        askers = [threading.Thread(target=ask, args=(names,)) for names in ("ab", "ba", "a", "abb")]
        for asker in askers:
            asker.start()
        for turn in range(8):
            changed = [entry("a", "eager" if turn % 2 else "lazy", default=True),
                       entry("b", batch_max=1 + turn // 2)]
            if turn % 3:
                changed.append(entry("c"))
            self.reload(server, changed, models_memory_max=bound)
            if turn % 3:
                self.assertEqual(self.embed(server, "c")["embeddings"], expected["c"])
            else:
                self.embed(server, "c", 404)
        stop.set()
        for asker in askers:
            asker.join()
        self.assertEqual(wrong, [])
        self.assertGreater(len(done), 16)

    def test_the_end_while_loading(self):
        """SIGTERM right behind a reload and a lazy load: it ends, with 0."""
        server = self.start([entry("a", "eager", default=True)])
        self.write([entry("a", "eager", default=True), entry("b", "eager"), entry("c")])
        server.process.send_signal(signal.SIGHUP)
        server.terminate()
        self.assertEqual(server.process.wait(60), 0)


PICTURE = text(png(64, 48))

if __name__ == "__main__":
    unittest.main()
