"""Readers: each layout gives the same pictures with the same texts; the held-out tenth; the tokens."""

import contextlib
import csv
import io
import json
import os
import subprocess
import tarfile
import tempfile
import unittest
from unittest import mock

import torch_tests
from torch_tests import CLIPD, STARTER, missing

if not missing():
    import numpy as np
    import torch
    from PIL import Image

    from training import pictures, sources, words
    from training.parts import Pairs, take
    from training.tokens import Tokenizer

COLOURS = {"red": (250, 10, 10), "green": (10, 250, 10), "blue": (10, 10, 250)}


def picture(colour, size=(24, 16)):
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data.encode() if isinstance(data, str) else data)


class Readers(unittest.TestCase):
    def setUp(self):
        self.holder = tempfile.TemporaryDirectory()
        self.folder = self.holder.name

    def tearDown(self):
        self.holder.cleanup()

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def check(self, path, with_texts=True):
        found = sources.Pictures(path, 8, self.path("cache"))
        self.assertEqual(len(found.names), 3)
        self.assertEqual(found.aspects, [1.5] * 3)
        for i, name in enumerate(found.names):
            colour = next(c for c in COLOURS if c in name)
            np.testing.assert_array_equal(found.pixels[i, 4, 4], COLOURS[colour])
            self.assertEqual(found.texts[i], [f"a {colour} flag"] if with_texts else [])
        again = sources.Pictures(path, 8, self.path("cache"))  # what was decoded is kept
        self.assertEqual(again.names, found.names)
        return found

    def make_tar(self, name, members):
        with tarfile.open(self.path(name), "w") as tar:
            for member, data in members:
                data = data.encode() if isinstance(data, str) else data
                info = tarfile.TarInfo(member)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        return self.path(name)

    def test_webdataset(self):
        self.check(self.make_tar("text.tar", [
            m for c in COLOURS for m in ((f"{c}.png", picture(COLOURS[c])), (f"{c}.txt", f"a {c} flag\n"))]))
        self.check(self.make_tar("json.tar", [
            m for c in COLOURS for m in ((f"{c}.json", json.dumps({"caption": f"a {c} flag"})),
                                         (f"{c}.png", picture(COLOURS[c])))]))
        self.check(self.make_tar("captions.tar", [
            ("captions.json", json.dumps({f"{c}.png": [f"a {c} flag"] for c in COLOURS})),
            *((f"{c}.png", picture(COLOURS[c])) for c in COLOURS)]))

    def test_labelled_tar_and_folders(self):
        for c in COLOURS:
            write(self.path("folders", c, "1.png"), picture(COLOURS[c]))
        tar = self.make_tar("labels.tar", [(f"{c}/1.png", picture(COLOURS[c])) for c in COLOURS])
        for path in (tar, self.path("folders")):
            found = self.check(path, with_texts=False)
            self.assertEqual({words.label_of(n) for n in found.names}, set(COLOURS))

    def test_tables(self):
        for c in COLOURS:
            write(self.path("data", f"{c}.png"), picture(COLOURS[c]))
        for name, delimiter, columns in (("pairs.csv", ",", ("filepath", "title")),
                                         ("pairs.tsv", "\t", ("image", "caption")),
                                         ("metadata.csv", ",", ("file_name", "text"))):
            with open(self.path("data", name), "w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, delimiter=delimiter)
                writer.writerows([columns, *((f"{c}.png", f"a {c} flag") for c in COLOURS)])
            self.check(self.path("data", name))
        self.check(self.path("data"))  # as an imagefolder with metadata.csv
        os.remove(self.path("data", "metadata.csv"))
        write(self.path("data", "metadata.jsonl"), "".join(
            json.dumps({"file_name": f"{c}.png", "text": f"a {c} flag"}) + "\n" for c in COLOURS))
        self.check(self.path("data"))

    def test_wrong(self):
        write(self.path("bad.csv"), "name,words\na.png,b\n")
        with self.assertRaisesRegex(SystemExit, "'name', 'words'"):
            sources.Pictures(self.path("bad.csv"), 8, self.path("cache"))
        with self.assertRaisesRegex(SystemExit, "expected a .tar"):
            sources.Source(self.path("bad.zip"))
        tar = self.make_tar("half.tar", [("a.png", b"not a picture"), ("b.png", picture((1, 2, 3)))])
        self.assertEqual(sources.Pictures(tar, 8, self.path("cache")).names, ["b.png"])

    def texts(self, path):
        found = sources.Pictures(path, 8, self.path("cache"))
        return dict(zip(found.names, found.texts))

    def test_shards_count_from_0_each(self):
        os.mkdir(self.path("shards"))
        for shard, colour in enumerate(("red", "blue")):
            self.make_tar(f"shards/{shard}.tar", [("000.png", picture(COLOURS[colour])), ("000.txt", f"a {colour} flag")])
        found = sources.Pictures(self.path("shards"), 8, self.path("cache"))
        self.assertEqual(found.texts, [["a red flag"], ["a blue flag"]])

    def test_caption_that_is_no_list(self):
        tar = self.make_tar("one.tar", [("captions.json", json.dumps({"a.png": "a cat"})), ("a.png", picture((1, 2, 3)))])
        self.assertEqual(self.texts(tar), {"a.png": ["a cat"]})

    def test_comma_without_quotes(self):
        write(self.path("a.png"), picture((1, 2, 3)))
        write(self.path("comma.csv"), "image,caption\na.png,a mat\na.png,a cat, on a mat\n")
        with self.assertRaisesRegex(SystemExit, "line 3 has 3 fields, expected 2: .*in quotes"):
            sources.Pictures(self.path("comma.csv"), 8, self.path("cache"))

    def test_byte_order_mark(self):
        write(self.path("excel", "a.png"), picture((1, 2, 3)))
        for name, rows in (("excel.csv", "image,caption\na.png,a cat\n"), ("metadata.csv", "file_name,text\na.png,a cat\n"),
                           ("metadata.jsonl", '{"file_name": "a.png", "text": "a cat"}\n')):
            write(self.path("excel", name), "\ufeff" + rows)
            path = self.path("excel", name) if name == "excel.csv" else self.path("excel")
            self.assertEqual(self.texts(path), {"a.png": ["a cat"]}, name)
        tar = self.make_tar("excel.tar", [("a.png", picture((1, 2, 3))), ("a.txt", "\ufeffa cat")])
        self.assertEqual(self.texts(tar), {"a.png": ["a cat"]})

    def test_one_bad_row_ends_nothing(self):
        """A file that is not there, a picture that breaks off, an empty caption: said, and left out."""
        file = io.BytesIO()
        Image.effect_noise((400, 400), 90).save(file, "PNG")
        before, data, *after = file.getvalue().split(b"IDAT")
        broken = b"IDAT".join([before, data]) + b"\0\0\0\0" + b"IDAT".join(after)  # a SyntaxError of Pillow's
        write(self.path("a.png"), picture((1, 2, 3)))
        write(self.path("b.png"), picture((1, 2, 3)))
        write(self.path("broken.png"), broken)
        write(self.path("rows.csv"), "image,caption\ngone.png,a cat\nbroken.png,a cow\na.png,a dog\nb.png,\nb.png\n")
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            self.assertEqual(self.texts(self.path("rows.csv")), {"a.png": ["a dog"], "b.png": []})
        self.assertIn("gone.png is left out", said.getvalue())
        self.assertIn("broken.png is left out", said.getvalue())

    def test_changed_data_is_decoded_again(self):
        """Below the directory, too, whose own time does not change."""
        def colours(path):
            found = sources.Pictures(path, 8, self.path("cache"))
            return dict(zip(found.names, found.pixels[:, 4, 4].tolist()))

        write(self.path("again", "x", "a.png"), picture((1, 2, 3)))
        write(self.path("again.csv"), "image,caption\nagain/x/a.png,a cat\nagain/x/b.png,a dog\n")
        self.assertEqual(colours(self.path("again")), {"x/a.png": [1, 2, 3]})
        self.assertEqual(colours(self.path("again.csv")), {"again/x/a.png": [1, 2, 3]})
        write(self.path("again", "x", "a.png"), picture((4, 5, 6), (30, 20)))
        write(self.path("again", "x", "b.png"), picture((7, 8, 9)))
        self.assertEqual(colours(self.path("again")), {"x/a.png": [4, 5, 6], "x/b.png": [7, 8, 9]})
        self.assertEqual(colours(self.path("again.csv")), {"again/x/a.png": [4, 5, 6], "again/x/b.png": [7, 8, 9]})

    def test_held_out(self):
        names = [f"{label}/{i}.png" for label in "ab" for i in range(40)]
        held = words.held_out(names)
        self.assertEqual(sorted(n[0] for n in held), list("aaaabbbb"))
        self.assertEqual(held, words.held_out(reversed(names)))
        # This very tenth is what the starter's figures are of.
        self.assertEqual(sorted(held)[:2], HELD)


class Crops(unittest.TestCase):
    def test_squeeze_is_undone(self):
        """A circle in a wide picture is a circle in each crop of it."""
        image = Image.new("RGB", (96, 48))
        for x in range(96):
            for y in range(48):
                if (x - 48) ** 2 + (y - 24) ** 2 < 100:
                    image.putpixel((x, y), (255, 255, 255))
        file = io.BytesIO()
        image.save(file, "PNG")
        pixels, aspect = sources.decode(file.getvalue(), 48)
        x = pictures.to_pixels(np.stack([pixels]), False)
        crop = pictures.centre_crops(x, 48, torch.tensor([aspect]))[0, 0] > 0
        wide, high = (int(crop.any(d).sum()) for d in (0, 1))
        self.assertAlmostEqual(wide, high, delta=2)
        self.assertAlmostEqual(wide, 20, delta=2)

    def test_random_crops(self):
        torch.manual_seed(0)
        x = torch.ones(16, 3, 20, 20)
        out = pictures.random_crops(x, 12, torch.full((16,), 1.5), (0.3, 1))
        self.assertEqual(out.shape, (16, 3, 12, 12))
        torch.testing.assert_close(out, torch.ones_like(out))

    def test_from_further_away(self):
        torch.manual_seed(0)
        x = torch.zeros(8, 3, 40, 40)
        x[:, :, 16:24, 16:24] = 1
        near, far = (pictures.random_crops(x, 40, torch.ones(8), (a, a)).mean((1, 2, 3)) for a in (1, 1.6))
        self.assertTrue(bool((far < near).all()))

    def test_swap_details(self):
        """What some lose or gain is fine: as seen from afar nothing changes but a little."""
        torch.manual_seed(0)
        flat, sharp = torch.full((60, 3, 32, 32), 0.5), 0.5 + 0.4 * torch.randn(60, 3, 32, 32)
        out = pictures.swap_details(torch.cat([flat, sharp]))
        detail = out.std((1, 2, 3))
        gained, lost = detail[:60] > 0.1, detail[60:] < 0.3
        for share in (gained, lost):
            self.assertAlmostEqual(float(share.float().mean()), 0.3, delta=0.15)
        self.assertEqual(int((detail[:60] < 1e-5).sum()) + int(gained.sum()), 60)
        torch.testing.assert_close(out.mean((2, 3)), torch.cat([flat, sharp]).mean((2, 3)), atol=0.05, rtol=0)

    def test_patches(self):
        torch.manual_seed(0)
        x = torch.zeros(200, 3, 32, 32)
        out = pictures.patches(x, torch.tensor([0.0] * 100 + [0.5] * 100))
        self.assertTrue(bool((out[:100] == 0).all()))
        coats = out[(out != x).any(1).any(1).any(1)]
        self.assertAlmostEqual(len(coats), 50, delta=20)
        self.assertLess(float(coats.min()), -0.5)
        self.assertGreater(float(coats.max()), 0.5)
        middle, corners = coats[:, :, 12:20, 12:20].abs().mean(), coats[:, :, :3, :3].abs().mean()
        self.assertLess(float(corners), 0.3 * float(middle))

    def test_processes_share_a_batch(self):
        """No thing is in it twice, which would make it its own negative."""
        things = [([i], [f"thing {i}"]) for i in range(11)]
        source = mock.Mock(pixels=np.zeros((11, 8, 8, 3), np.uint8), aspects=[1.0] * 11)
        parts = [Pairs(source, things, 4, 1.0, area=(1, 1)) for _ in range(2)]
        for rank, part in enumerate(parts):
            part.share(rank, 2, 7)
        seen = set()
        for _ in range(20):
            batch = [text for part in parts for text in part.draw(8)[1]]
            self.assertEqual(len(set(batch)), 8)
            seen.update(batch)
        self.assertEqual(len(seen), 11)
        parts[0].share(0, 3, 7)
        self.assertEqual(parts[0].count, 3)

    def test_transparent(self):
        pixels = np.zeros((1, 4, 4, 4), np.uint8)
        white = pictures.to_pixels(np.full((1, 4, 4, 3), 255, np.uint8), False)
        torch.testing.assert_close(pictures.to_pixels(pixels, False), white)

    def test_take(self):
        rows = np.arange(20).reshape(10, 2)
        np.testing.assert_array_equal(take(rows, [7, 2, 7, 0]), rows[[7, 2, 7, 0]])


class Tokens(unittest.TestCase):
    TEXTS = ("a photo of a cat.", "Two  dogs play, don't they?", "été 2024", "x" * 40, "", "a_b-c", "word " * 40)

    def test_as_clipd(self):
        tokenizer = Tokenizer.load(STARTER, 32)
        for text in self.TEXTS:
            done = subprocess.run([CLIPD, "tokenize", "--model", STARTER, "--truncate", "32", "--", text], capture_output=True,
                                  text=True, check=True)
            self.assertEqual(tokenizer(text), json.loads(done.stdout), text)

    def test_learn(self):
        tokenizer = Tokenizer.learn({"the cat sat": 9, "the mat": 4}, 530, 8)
        self.assertEqual(tokenizer.merges[0], ("a", "t</w>"))
        self.assertEqual(len(tokenizer("the cat sat on the mat the cat")), 8)
        ids, ends = tokenizer.rows(["the", "the cat"])
        self.assertEqual(ids[0, ends[0]], tokenizer.end)
        self.assertEqual(ids[1, ends[1]], tokenizer.end)
        with tempfile.TemporaryDirectory() as folder:
            tokenizer.save(folder)
            again = Tokenizer.load(folder, 8)
        self.assertEqual((again.vocabulary, again.merges), (tokenizer.vocabulary, tokenizer.merges))


HELD = ["a/12.png", "a/23.png"]

if __name__ == "__main__":
    torch_tests.main()
