"""Fine-tuning from end to end: the starter on a few pictures, and what comes out is served."""

import contextlib
import io
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

import torch_tests
from torch_tests import CLIPD, ROOT, STARTER, missing

if not missing():
    import torch
    from PIL import Image

    from training import checkpoint, initialise, losses, measure, optimise, recipes
    from training import train as trainer
    from training.clip import Clip

COLOURS = {"red": (230, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 230), "yellow": (230, 220, 30)}


def make_pairs(folder, count=40):
    """Discs and squares of four colours, with captions."""
    rng = random.Random(0)
    with open(os.path.join(folder, "metadata.jsonl"), "w", encoding="utf-8") as file:
        for i in range(count):
            name, colour = list(COLOURS.items())[i % 4]
            image = Image.new("RGB", (rng.randint(40, 60), 40), "white")
            image.paste(colour, (8, 8, 30, 30))
            image.save(os.path.join(folder, f"{i}.png"))
            file.write(json.dumps({"file_name": f"{i}.png", "text": f"a {name} square, number {i}"}) + "\n")


def make_folders(folder, count):
    """One folder a colour."""
    for name, colour in COLOURS.items():
        os.makedirs(os.path.join(folder, name))
        for i in range(count):
            Image.new("RGB", (20, 20), colour).save(os.path.join(folder, name, f"{i}.png"))


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def train_here(*arguments):
    """What it says, in this process: to start PyTorch takes longer than to train a few steps."""
    said = io.StringIO()
    before = [(number, signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        with mock.patch.object(sys, "argv", ["train", *arguments]), contextlib.redirect_stdout(said):
            trainer.main()
    finally:
        for number, handler in before:
            signal.signal(number, handler)
    return said.getvalue()


def train(*arguments, processes=1):
    """What the first process says. Several are told what torch's launcher would tell them."""
    if processes == 1:
        return train_here(*arguments)
    shared = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    running = [subprocess.Popen(
        [sys.executable, "-m", "training.train", *arguments], cwd=ROOT, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, env={**os.environ, **shared, "RANK": str(rank), "OMP_NUM_THREADS": "1"})
        for rank in range(processes)]
    said = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise AssertionError("\n".join(said))
    return said[0]


class Tuning(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.holder = tempfile.TemporaryDirectory()
        cls.data = os.path.join(cls.holder.name, "data")
        os.mkdir(cls.data)
        make_pairs(cls.data)

    @classmethod
    def tearDownClass(cls):
        cls.holder.cleanup()

    def path(self, name):
        return os.path.join(self.holder.name, name)

    def tune(self, name, *more, steps=6, processes=1):
        out = self.path(name + "-out")
        said = train("--model", STARTER, "--data", self.data, "--out", out, "--work", self.path(name), "--steps",
                     str(steps), "--batch", "8", "--rate", "1e-3", "--warmup", "1", *more, processes=processes)
        return out, said

    def test_all_and_served(self):
        out, said = self.tune("all", "--average", "0", steps=30)
        self.assertIn("recall@1", said)
        with Image.open(os.path.join(self.path("all"), "curves.png")) as image:
            self.assertEqual(image.format, "PNG")
        model, tokenizer, _ = checkpoint.load(out)
        texts = ["a red square", "a blue square, number 2"]
        with torch.no_grad():
            own = measure.encode_texts(model, tokenizer, texts).tolist()
        done = subprocess.run([CLIPD, "embed", "text", *texts, "--model", out], env={**os.environ, "CLIPD_PRECISION": "fp32"},
                              capture_output=True, text=True, check=True)
        for line, expected in zip(done.stdout.splitlines(), own, strict=True):
            for a, b in zip(json.loads(line)["embedding"], expected, strict=True):
                self.assertAlmostEqual(a, b, delta=2e-5)
        # It has learnt: colours are told apart that were not before.
        done = subprocess.run(
            [CLIPD, "classify", *(os.path.join(self.data, f"{i}.png") for i in range(4)), "--labels",
             ",".join(COLOURS), "--template", "a {} square", "--top-k", "1", "--model", out],
            capture_output=True, text=True, check=True)
        found = [json.loads(line)["labels"][0]["label"] for line in done.stdout.splitlines()]
        self.assertEqual(found, list(COLOURS))

    def test_no_model(self):
        for out in ("nowhere", "data"):
            with self.assertRaises(SystemExit) as raised:
                train("--model", self.path("missing"), "--data", self.data, "--out", self.path(out), "--steps", "1")
            self.assertIn("missing/config.json: No such file or directory; expected", str(raised.exception))

    def test_resumes(self):
        self.tune("twice", steps=3)
        _, said = self.tune("twice", steps=6)
        self.assertIn("goes on at step 3", said)
        self.assertNotIn("already finished", said)
        _, said = self.tune("twice", steps=6)
        self.assertIn("already finished: no step is left after step 6", said)

    def test_state_of_another_run(self):
        """It is refused, lest one run's weights be exported as the other's; one that does not say is taken."""
        self.tune("mine", steps=1)
        shutil.copytree(self.path("mine-out"), self.path("mine-copy"))
        for name, more in (("tune", ("--tune", "text")), ("data", ("--data", self.path("mine"))),
                           ("model", ("--model", self.path("mine-copy"))), ("loss", ("--loss", "sigmoid"))):
            if name == "data":
                make_pairs(self.path("mine"))
            with self.assertRaisesRegex(SystemExit, f"another run: {name} .*a --work of its own"):
                self.tune("mine", *more, steps=2)
        state = torch.load(os.path.join(self.path("mine"), "state.pt"), map_location="cpu")
        del state["identity"]
        torch.save(state, os.path.join(self.path("mine"), "state.pt"))
        _, said = self.tune("mine", steps=2)
        self.assertIn("goes on at step 1", said)

    def test_stopped_by_a_signal(self):
        """It finishes its step, keeps the state, and goes on from there."""
        train_step = trainer.Trainer.train_step

        def interrupted(self, progress):
            if self.step == 2:
                os.kill(os.getpid(), signal.SIGTERM)
            return train_step(self, progress)

        with mock.patch.object(trainer.Trainer, "train_step", interrupted), \
                self.assertRaisesRegex(SystemExit, "the same call goes on from here"):
            self.tune("stopped", steps=100)
        _, said = self.tune("stopped", steps=4)
        self.assertIn("goes on at step 3", said)

    def test_where_it_cannot_write(self):
        """It is said before the first step."""
        model, taken = self.path("itself"), self.path("taken")
        shutil.copytree(STARTER, model)
        os.mkdir(taken)
        with open(os.path.join(taken, "open_clip_model.safetensors"), "wb"):
            pass
        with mock.patch.object(trainer, "Trainer", side_effect=AssertionError("it has begun")):
            for out, reason in ((model, "is the model itself"), (os.path.join(model, "."), "is the model itself"),
                                (taken, "holds open_clip_model.safetensors")):
                with self.assertRaisesRegex(SystemExit, reason):
                    train("--model", model, "--data", self.data, "--steps", "1", "--out", out)

    def test_locked_tower(self):
        """Images have the very embeddings that they had, of a model in fp32, too."""
        source = self.path("fp32")
        shutil.copytree(STARTER, source)
        weights = os.path.join(source, "model.safetensors")
        tensors = checkpoint.read_safetensors(weights)
        checkpoint.write_safetensors(weights, {n: t.float() * 1.0001 for n, t in tensors.items()})
        out, _ = self.tune("locked", "--model", source, "--tune", "text", steps=2)
        old, new = (checkpoint.read_weights(folder) for folder in (source, out))
        for name, value in new.items():
            if name.startswith("vis"):
                self.assertEqual(value.dtype, torch.float32, name)
                self.assertTrue(torch.equal(value, old[name]), name)
        self.assertEqual(new["text_projection.weight"].dtype, torch.float16)
        self.assertEqual(checkpoint.read_json(out, "config.json")["torch_dtype"], "float32")
        said = [subprocess.run([CLIPD, "embed", "image", os.path.join(self.data, "0.png"), "--model", folder],
                               env={**os.environ, "CLIPD_PRECISION": "fp32"}, capture_output=True, text=True,
                               check=True).stdout for folder in (source, out)]
        self.assertEqual(*said)

    def test_two_processes(self):
        out, _ = self.tune("two", "--loss", "sigmoid", "--batch", "30", processes=2)
        self.assertEqual(set(os.listdir(out)), set(os.listdir(STARTER)) - {"README.md", "curves.png"})
        with open(os.path.join(self.path("two"), "measured.json"), encoding="utf-8") as file:
            images = json.load(file)[-1][0]
        self.assertEqual(images, 6 * 36)  # of the 36 pairs each has the half: no pair is in a step twice

    def test_held_out(self):
        """A tenth of all pairs, whatever folders they lie in; nothing is measured that was trained on."""
        folder = self.path("six")
        for i in range(4):
            os.makedirs(os.path.join(folder, f"album {i}"))
            make_pairs(os.path.join(folder, f"album {i}"), count=6)
            with open(os.path.join(folder, f"album {i}/metadata.jsonl"), encoding="utf-8") as file, \
                    open(os.path.join(folder, "metadata.jsonl"), "a", encoding="utf-8") as whole:
                whole.writelines(line.replace('"file_name": "', f'"file_name": "album {i}/') for line in file)
        _, said = self.tune("albums", "--data", folder, steps=1)
        self.assertRegex(said, "held out: recall@1 of 2 ")
        with open(os.path.join(folder, "metadata.jsonl"), "w", encoding="utf-8") as file:
            file.writelines(json.dumps({"file_name": f"album 0/{i}.png", "text": f"number {i}"}) + "\n" for i in range(6))
        _, said = self.tune("few", "--data", folder, steps=1)
        self.assertIn("nothing is held out, so nothing is measured: expected ten pairs", said)
        self.assertRegex(said, "held out: nothing")

    def test_labels(self):
        folder = self.path("folders")
        make_folders(folder, 20)
        _, said = self.tune("labels", "--data", folder, "--precision", "bf16", "--average", "0", steps=12)
        self.assertIn("held out: accuracy of 8 1.000", said)  # two pictures of a label do not compete

    def test_measured_as_the_model_sees(self):
        """With its own mean and std, not CLIP's."""
        model = self.path("other-mean")
        shutil.copytree(STARTER, model)
        path = os.path.join(model, "preprocessor_config.json")
        settings = dict(checkpoint.read_json(model, "preprocessor_config.json"), image_mean=[0.5, 0.5, 0.5])
        with open(path, "w", encoding="utf-8") as file:
            json.dump(settings, file)
        folder = self.path("colours")
        make_folders(folder, 10)
        with mock.patch.object(measure, "encode_pictures", wraps=measure.encode_pictures) as encode:
            self.tune("other", "--model", model, "--data", folder, steps=1)
        self.assertEqual(encode.call_args.kwargs["mean"], [0.5, 0.5, 0.5])


class Pieces(unittest.TestCase):
    def test_frozen(self):
        for tune, free, locked in (("text", "text_model.encoder.layers.0.mlp.fc1.weight", "visual_projection.weight"),
                                   ("last:1", "vision_model.encoder.layers.{last}.mlp.fc1.weight",
                                    "vision_model.encoder.layers.0.mlp.fc1.weight")):
            model = checkpoint.load_model(STARTER)
            recipes.freeze(model, tune)
            parameters = dict(model.named_parameters())
            last = model.config["vision_config"]["num_hidden_layers"] - 1
            self.assertTrue(parameters[free.format(last=last)].requires_grad)
            self.assertFalse(parameters[locked].requires_grad)
            self.assertTrue(parameters["logit_scale"].requires_grad)
            self.assertFalse(parameters["text_model.embeddings.token_embedding.weight"].requires_grad
                             and tune != "text")
        with self.assertRaisesRegex(SystemExit, "expected all, text or last:N"):
            recipes.freeze(model, "last")

    def test_patches_dropped(self):
        model = checkpoint.load_model(STARTER)
        embeddings = model.vision_model.embeddings
        side = model.config["vision_config"]["image_size"]
        pixels = torch.randn(3, 3, side, side)
        whole = embeddings(pixels, 1.0)
        torch.manual_seed(1)
        some = embeddings(pixels, 0.25)
        self.assertEqual(some.shape[1], 1 + (whole.shape[1] - 1) // 4)
        for row in range(3):  # each of them is one of all, with its own position
            distances = (some[row][:, None] - whole[row]).norm(dim=2).min(1).values
            self.assertLess(distances.max().item(), 1e-4)
        self.assertEqual(embeddings(torch.randn(1, 3, side * 2, side * 2), 1.0).shape[1],
                         1 + 4 * (whole.shape[1] - 1))

    def test_beginnings(self):
        torch.manual_seed(0)
        model = Clip(checkpoint.load_model(STARTER).config)
        for begin in (initialise.as_openai, lambda m: initialise.small(m, torch.randn(64, 3, 48, 48))):
            begin(model)
            ids = torch.tensor([[4094, 320, 4095], [4094, 517, 4095]])
            side = model.config["vision_config"]["image_size"]
            images, texts, scale = model(torch.randn(2, 3, side, side), [(ids, torch.tensor([2, 2]))])
            loss = losses.softmax_loss(images, texts, scale.exp())
            loss.backward()
            self.assertTrue(all(torch.isfinite(p.grad).all() for p in model.parameters()))
        whitened = model.vision_model.embeddings.patch_embedding.weight.flatten(1)
        values = torch.linalg.svdvals(whitened)
        self.assertLess((values.max() / values.min()).item(), 3)  # noise stays noise

    def test_average(self):
        model = checkpoint.load_model(STARTER)
        average = optimise.Average(model, 0.9)
        with torch.no_grad():
            model.logit_scale.add_(1)
        average.update(model, 10 ** 6)
        moved = average.model.logit_scale.item() - (model.logit_scale.item() - 1)
        self.assertAlmostEqual(moved, 0.1, places=4)


if __name__ == "__main__":
    torch_tests.main()
