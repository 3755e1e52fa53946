"""The commands that answer without a server: what they print, and how they fail."""

import json
import os
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import time
import unittest
import zlib

from program import (BINARY, CANNOT_CREATE, CONFIG, DATA, IO, MODEL, NOT_ALLOWED, NO_INPUT, ROOT, USAGE, clipd,
                     environment, on_terminal, without_rights)

SHIP = "docs/pictures/ship.jpg"
AIRPLANE = "docs/pictures/airplane.jpg"
COMMANDS = ("serve", "embed", "classify", "index", "search", "dedupe", "collections", "eval", "info",
            "tokenize", "preprocess", "quantize", "bench", "healthcheck")


def lines(output):
    return [json.loads(line) for line in output.splitlines()]


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


class Program(unittest.TestCase):
    def test_version_and_help(self):
        code, out, _ = clipd("--version")
        self.assertEqual(code, 0)
        self.assertRegex(out.decode(), r"^clipd \d+\.\d+\.\d+\n$")
        for arguments in (["help"], ["--help"], ["-h"]):
            code, out, _ = clipd(*arguments)
            self.assertEqual(code, 0)
            for command in COMMANDS:
                self.assertIn(f"  {command} ", out.decode())

    def test_every_command_has_help(self):
        for command in COMMANDS:
            for arguments in ([command, "--help"], ["help", command]):
                code, out, err = clipd(*arguments)
                self.assertEqual((code, err), (0, ""), command)
                self.assertTrue(out.startswith(b"usage: clipd " + command.encode()), command)

    def test_wrong_usage(self):
        for arguments in ([], ["frobnicate"], ["help", "frobnicate"], ["embed"],
                          ["embed", "sound", "x"], ["embed", "text"], ["info", "x"], ["classify"],
                          ["classify", SHIP], ["classify", "--labels", "a,b"], ["tokenize", "x"],
                          ["tokenize", "--model", MODEL], ["preprocess", SHIP],
                          ["preprocess", "-o", "x.png"], ["serve", "x"], ["healthcheck", "x"]):
            code, out, err = clipd(*arguments)
            self.assertEqual((code, out), (USAGE, b""), arguments)
            self.assertNotEqual(err, "", arguments)
        for command in COMMANDS:
            code, out, err = clipd(command, "--frobnicate")
            self.assertEqual((code, out), (USAGE, b""), command)
            self.assertEqual(err, f"clipd {command}: unrecognized option '--frobnicate'\n"
                                  f"try 'clipd {command} --help'\n")

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([BINARY, "info", "--model", MODEL], cwd=ROOT, stdout=full,
                                  stderr=subprocess.PIPE, env=environment(), check=False)
        self.assertEqual(done.returncode, IO)
        self.assertIn(b"cannot write", done.stderr)

    def test_a_reader_that_leaves_ends_it_quietly(self):
        script = f"{BINARY} embed text --model {MODEL} $(seq 2000) | head -n 1"
        done = subprocess.run(["bash", "-c", script + "; echo ${PIPESTATUS[0]}"], cwd=ROOT,
                              env=environment(), capture_output=True, check=True)
        self.assertEqual(done.stderr, b"")
        self.assertEqual(done.stdout.splitlines()[-1], b"141")

    def test_terminals_get_no_control_characters(self):
        evil = "\x1b]0;pwned\x07\x9b31m"
        header = json.dumps({evil: {"dtype": "U8", "shape": [], "data_offsets": [0, 1]}}).encode()
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "x.safetensors")
            with open(path, "wb") as file:
                file.write(struct.pack("<Q", len(header)) + header + b"x")
            for arguments, expected in ((["info", "--model", path], DATA),
                                        (["embed", "image", "--model", MODEL, evil], NO_INPUT)):
                code, out, err = clipd(*arguments)
                self.assertEqual((code, out), (expected, b""), err)
                self.assertTrue(err.rstrip("\n").isprintable(), ascii(err))
                self.assertIn("?]0;pwned???31m", err)

    def test_no_model(self):
        for arguments in (["info"], ["embed", "text", "x"]):
            code, out, err = clipd(*arguments)
            self.assertEqual((code, out), (USAGE, b""))
            self.assertIn("expected --model DIR, CLIPD_MODEL=DIR", err)
        self.assertEqual(clipd("info", "--model", "/nonexistent")[0], NO_INPUT)
        self.assertEqual(clipd("info", env={"CLIPD_MODEL": MODEL})[0], 0)
        with tempfile.NamedTemporaryFile(suffix=".safetensors") as weights:
            weights.write(b"\xff" * 100)
            weights.flush()
            self.assertEqual(clipd("info", "--model", weights.name)[0], DATA)


    def test_variables_of_others(self):
        others = {"CLIPD_SERVICE_HOST": "10.0.0.1", "CLIPD_SERVICE_PORT_HTTP": "8080",
                  "CLIPD_PORT": "tcp://10.0.0.1:8080", "CLIPD_PORT_8080_TCP_ADDR": "10.0.0.1"}
        self.assertEqual(clipd("info", "--model", MODEL, env=others)[2], "")
        for name, expected in (("CLIPD_PORT", ""), ("CLIPD_PRECISON", ""),
                               ("CLIPD_STORE_LOCATION", "; store.location is CLIPD_STORE")):
            code, _, err = clipd("info", "--model", MODEL, env={name: "8080"})
            self.assertEqual(code, 0)
            self.assertTrue(err.endswith(f"the variable {name} is none of clipd's: ignored{expected}\n"), err)

    def test_what_may_not_be_read(self):
        with tempfile.TemporaryDirectory() as folder:
            model, store = folder + "/model", folder + "/store"
            config = folder + "/clipd.yaml"
            shutil.copytree(os.path.join(ROOT, MODEL), model)
            os.mkdir(store)
            with open(config, "w", encoding="utf-8"):
                pass
            for path in (config, model + "/model.safetensors", model + "/config.json", model, store):
                os.chmod(path, 0)
            for arguments, path in ((["info", "--model", model], model),
                                    (["info", "--config", config], config),
                                    (["collections", "--store", store], store + "/lock"),
                                    (["collections", "--store", store + "/x"], store + "/x")):
                code, out, err = without_rights(*arguments)
                self.assertEqual((code, out), (NOT_ALLOWED, b""), err)
                self.assertIn(f" {path}: Permission denied", err)
            os.chmod(model, 0o700)
            os.rename(model + "/model.safetensors", model + "/other.safetensors")
            for mode in (0o400, 0o100):
                os.chmod(model, mode)
                self.assertIn(f" {model}: Permission denied", without_rights("info", "--model", model)[2])
            os.chmod(model, 0o700)
            os.rename(model + "/other.safetensors", model + "/model.safetensors")
            for name in ("config.json", "model.safetensors"):
                code, _, err = without_rights("info", "--model", model)
                self.assertEqual(code, NOT_ALLOWED, err)
                self.assertIn(f"{name}: Permission denied", err)
                os.chmod(f"{model}/{name}", 0o600)
            self.assertEqual(without_rights("info", "--model", model)[0], 0)
            os.chmod(store, 0o700)

    def test_signals_to_the_first_process(self):
        first = ["unshare", "--pid", "--fork"]  # as in a container
        if subprocess.run([*first, "true"], check=False, capture_output=True).returncode:
            self.skipTest("no namespaces of process ids")
        for number in (signal.SIGTERM, signal.SIGINT):
            with subprocess.Popen([*first, BINARY, "classify", "-", "--labels", "x", "--model", MODEL],
                                  cwd=ROOT, env=environment(), stdin=subprocess.PIPE) as process:
                child, end = "", time.monotonic() + 60
                while process.poll() is None and time.monotonic() < end:
                    with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as file:
                        child = file.read().strip()
                    if child:
                        os.kill(int(child), number)
                    time.sleep(0.1)
                if process.returncode is None:
                    os.kill(int(child), signal.SIGKILL)
            self.assertEqual(process.returncode, 128 + number)


class Embed(unittest.TestCase):
    def test_images(self):
        code, out, err = clipd("embed", "image", "--model", MODEL, SHIP, AIRPLANE)
        self.assertEqual((code, err), (0, ""))
        ship, airplane = lines(out)
        self.assertEqual((ship["input"], airplane["input"]), (SHIP, AIRPLANE))
        for row in (ship, airplane):
            self.assertEqual(len(row["embedding"]), 192)
            self.assertAlmostEqual(dot(row["embedding"], row["embedding"]), 1, 5)
        with open(os.path.join(ROOT, SHIP), "rb") as file:
            code, out, _ = clipd("embed", "image", "-", "--model", MODEL, stdin=file.read())
        self.assertEqual((code, lines(out)), (0, [dict(ship, input="-")]))

    def test_raw_has_the_same_direction(self):
        unit, = lines(clipd("embed", "image", "--model", MODEL, SHIP)[1])
        raw, = lines(clipd("embed", "image", "--raw", "--model", MODEL, SHIP)[1])
        length = dot(raw["embedding"], raw["embedding"]) ** 0.5
        self.assertNotAlmostEqual(length, 1, 2)
        self.assertAlmostEqual(dot(raw["embedding"], unit["embedding"]) / length, 1, 5)

    def test_texts(self):
        code, out, _ = clipd("embed", "text", "--model", MODEL, "a cat", "", "-",
                             stdin='two\n\n"three\\n"\nno newline')
        self.assertEqual(code, 0)
        rows = lines(out)
        self.assertEqual([row["input"] for row in rows],
                         ["a cat", "", "two", "", '"three\\n"', "no newline"])
        self.assertEqual([row["tokens"] for row in rows][:2], [4, 2])
        self.assertEqual(rows[1]["embedding"], rows[3]["embedding"])

    def test_many_texts_are_the_same_as_one(self):
        texts = [f"a photo of {i} cats" for i in range(100)]
        rows = lines(clipd("embed", "text", "--model", MODEL, *texts)[1])
        self.assertEqual([row["input"] for row in rows], texts)
        for i in (0, 31, 32, 99):
            alone, = lines(clipd("embed", "text", "--model", MODEL, texts[i])[1])
            self.assertEqual(alone, rows[i])

    def test_long_text(self):
        text = "cat " * 100
        row, = lines(clipd("embed", "text", "--model", MODEL, text)[1])
        self.assertEqual((row["tokens"], row["truncated"]), (32, True))
        code, out, err = clipd("embed", "text", "--no-truncate", "--model", MODEL, text, "cat")
        self.assertEqual(code, DATA)
        self.assertEqual([row["input"] for row in lines(out)], ["cat"])
        self.assertIn("32", err)

    def test_one_bad_image_among_good_ones(self):
        code, out, err = clipd("embed", "image", "--model", MODEL, SHIP, "README.md", "/nonexistent",
                               AIRPLANE)
        self.assertEqual(code, NO_INPUT)
        self.assertEqual([row["input"] for row in lines(out)], [SHIP, AIRPLANE])
        self.assertIn("README.md: unknown image format", err)
        self.assertIn("/nonexistent", err)
        self.assertEqual(clipd("embed", "image", "--model", MODEL, "README.md")[0], DATA)


class Classify(unittest.TestCase):
    def test_json(self):
        code, out, _ = clipd("classify", SHIP, AIRPLANE, "--labels", "dog, ship ,airplane", "--model",
                             MODEL)
        self.assertEqual(code, 0)
        ship, airplane = lines(out)
        self.assertEqual((ship["input"], ship["labels"][0]["label"]), (SHIP, "ship"))
        self.assertEqual(airplane["labels"][0]["label"], "airplane")
        self.assertEqual({label["label"] for label in ship["labels"]}, {"dog", "ship", "airplane"})
        self.assertAlmostEqual(sum(label["probability"] for label in ship["labels"]), 1, 5)

    def test_top_k_and_repeated_labels(self):
        arguments = ["classify", SHIP, "--labels", "San Francisco, CA", "--labels", "dog", "--model", MODEL]
        code, out, _ = clipd(*arguments)
        self.assertEqual(code, 0)
        self.assertEqual({label["label"] for label in lines(out)[0]["labels"]}, {"San Francisco, CA", "dog"})
        code, out, _ = clipd(*arguments, "--labels", "cat", "--top-k", "2")
        self.assertEqual((code, len(lines(out)[0]["labels"])), (0, 2))
        code, out, _ = clipd("classify", SHIP, "--labels", "dog,cat", "--top-k", "99", "--model", MODEL)
        self.assertEqual(len(lines(out)[0]["labels"]), 2)

    def test_a_label_that_was_cut(self):
        code, out, err = clipd("classify", SHIP, "--labels", "dog," + "ship " * 40, "--model", MODEL)
        self.assertEqual((code, len(lines(out)[0]["labels"])), (0, 2))
        self.assertRegex(err, "^clipd: label 'ship ship .*' is longer than the model's context and was cut\n$")

    def test_templates(self):
        arguments = ["classify", SHIP, "--labels", "dog,ship", "--model", MODEL]
        default = clipd(*arguments)[1]
        self.assertEqual(clipd(*arguments, "--template", "a photo of a {}.")[1], default)
        self.assertNotEqual(clipd(*arguments, "--template", "a {}")[1], default)
        both = clipd(*arguments, "--template", "a {}", "--template", "a photo of a {}.")
        self.assertEqual(both[0], 0)
        self.assertEqual(clipd(*arguments, "--template", "no braces")[0], USAGE)

    def test_wrong_usage(self):
        for more in (["--labels", ""], ["--labels", "a,,b"], ["--labels", "a", "--labels", ""],
                     ["--labels", "a", "--top-k", "0"],
                     ["--labels", "a", "--top-k", "x"], ["--labels", "a", "--top-k", "-1"]):
            self.assertEqual(clipd("classify", SHIP, "--model", MODEL, *more)[0], USAGE, more)

    def test_an_image_that_cannot_be_read(self):
        arguments = ["classify", "docs", SHIP, "--labels", "ship", "--model", MODEL]
        code, out, err = clipd(*arguments)
        self.assertEqual((code, [row["input"] for row in lines(out)]), (IO, [SHIP]))
        self.assertIn("docs: ", err)
        arguments[1] = AIRPLANE
        with open("/dev/full", "wb") as full:
            done = subprocess.run([BINARY, *arguments], cwd=ROOT, stdout=full, stderr=subprocess.PIPE,
                                  env=environment(), check=False)
        self.assertEqual((done.returncode, done.stderr.count(b"\n")), (IO, 1), done.stderr)

    def test_table_on_a_terminal(self):
        table = on_terminal("classify", SHIP, "--labels", "ship,dog", "--model", MODEL)
        self.assertEqual(table[0], SHIP)
        self.assertRegex(table[1], r"^  100\.0 %  ship$")
        self.assertRegex(table[2], r"^    0\.0 %  dog$")

    def test_a_terminal_gets_no_control_characters(self):
        with tempfile.TemporaryDirectory() as folder:
            path = folder + "/\x9b31m\x1b]0;.jpg"
            shutil.copy(os.path.join(ROOT, SHIP), path)
            table = on_terminal("classify", path, "--labels", "ship\x9b31m", "--model", MODEL)
        self.assertEqual(table, [folder + "/??31m?]0;.jpg", "  100.0 %  ship??31m", ""])


class Info(unittest.TestCase):
    def test_model(self):
        code, out, err = clipd("info", "--model", MODEL)
        self.assertEqual((code, err), (0, ""))
        model, = json.loads(out)["models"]
        self.assertEqual((model["name"], model["embed_dim"], model["image_size"]), ("starter", 192, 64))


class Tokenize(unittest.TestCase):
    def test_text(self):
        expected = [4094, 320, 520, 513, 320, 765, 269, 4095]
        code, out, _ = clipd("tokenize", "--model", MODEL, "a photo of a cat.")
        self.assertEqual((code, json.loads(out)), (0, expected))
        for mode in ("openai", "open_clip", "hf-fast"):
            for source in (["--vocab", f"{MODEL}/merges.txt"], ["--vocab", MODEL], ["--model", MODEL]):
                out = clipd("tokenize", *source, "--mode", mode, "A photo of a cat.")[1]
                self.assertEqual(json.loads(out), expected, (mode, source))

    def test_no_limit_unless_asked(self):
        out = clipd("tokenize", "--model", MODEL, "cat " * 1000)[1]
        self.assertEqual(len(json.loads(out)), 1002)
        ids = json.loads(clipd("tokenize", "--model", MODEL, "--truncate", "5", "cat " * 1000)[1])
        self.assertEqual((len(ids), ids[0], ids[-1]), (5, 4094, 4095))
        self.assertEqual(json.loads(clipd("tokenize", "--model", MODEL, "--truncate", "5", "cat")[1]),
                         json.loads(clipd("tokenize", "--model", MODEL, "cat")[1]))
        # Cleaning makes this longer than it was.
        self.assertEqual(len(json.loads(clipd("tokenize", "--model", MODEL, "--mode", "openai",
                                              "\u0130" * 500)[1])) > 500, True)

    def test_lines(self):
        texts = ["a cat", "", "zwei\nZeilen", "\u00e9\u4e2d", "nul\0", "\"quoted\""]
        code, out, _ = clipd("tokenize", "--model", MODEL, "-",
                             stdin="".join(json.dumps(text) + "\n" for text in texts))
        self.assertEqual(code, 0)
        rows = lines(out)
        self.assertEqual(len(rows), len(texts))
        self.assertEqual(rows[1], [4094, 4095])
        self.assertEqual(rows[0], json.loads(clipd("tokenize", "--model", MODEL, "a cat")[1]))

    def test_bad_input(self):
        code, out, err = clipd("tokenize", "--model", MODEL, "-", stdin='"good"\nnot json\n"good"\n')
        self.assertEqual((code, len(out.splitlines())), (DATA, 1))
        self.assertIn("line 2", err)
        self.assertEqual(clipd("tokenize", "--model", MODEL, "-", stdin="[1]\n")[0], DATA)
        self.assertEqual(clipd("tokenize", "--model", MODEL, b"\xff\xfe")[0], DATA)
        self.assertEqual(clipd("tokenize", "--vocab", "/nonexistent", "x")[0], NO_INPUT)
        for more in (["--mode", "x"], ["--truncate", "1"], ["--truncate", "x"], ["--truncate", "-5"]):
            self.assertEqual(clipd("tokenize", "--model", MODEL, *more, "x")[0], USAGE, more)


def read_png(data):
    """(width, height, RGB bytes) of an 8-bit RGB PNG."""
    at, packed = 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        if kind == b"IHDR":
            width, height, depth, color = struct.unpack(">IIBB", data[at + 8:at + 18])
            assert (depth, color) == (8, 2)
        if kind == b"IDAT":
            packed += data[at + 8:at + 8 + size]
        at += size + 12
    raw, stride, rows = zlib.decompress(packed), width * 3, [bytes(width * 3)]
    for y in range(height):
        kind, row = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1:(y + 1) * (stride + 1)])
        for i in range(stride):
            left, up, corner = (row[i - 3] if i > 2 else 0), rows[-1][i], (rows[-1][i - 3] if i > 2 else 0)
            near = min((left, up, corner), key=lambda c: abs(left + up - corner - c))
            row[i] = (row[i] + (0, left, up, (left + up) // 2, near)[kind]) % 256
        rows.append(bytes(row))
    return width, height, b"".join(rows[1:])


class Preprocess(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.out = os.path.join(self.folder.name, "out.png")

    def size(self, *arguments):
        code, _, err = clipd("preprocess", SHIP, "-o", self.out, *arguments)
        self.assertEqual((code, err), (0, ""))
        with open(self.out, "rb") as file:
            width, height, _ = read_png(file.read())
        self.assertEqual(width, height)
        return width

    def test_sizes(self):
        self.assertEqual(self.size(), 224)
        self.assertEqual(self.size("--size", "7"), 7)
        self.assertEqual(self.size("--model", MODEL), 64)
        self.assertEqual(self.size("--model", MODEL, "--size", "48", "--order", "openai"), 48)
        for more in (["--size", "0"], ["--size", "4097"], ["--size", "x"], ["--resize", "x"],
                     ["--order", "x"]):
            self.assertEqual(clipd("preprocess", SHIP, "-o", self.out, *more)[0], USAGE, more)

    def test_pixels(self):
        """Every golden crop that the options can ask for."""
        folder = os.path.join(ROOT, "tests/golden/image")
        with open(f"{folder}/crops.npy", "rb") as file:
            data = file.read()
        at = 10 + struct.unpack("<H", data[8:10])[0]
        checked = 0
        with open(f"{folder}/cases.txt", encoding="ascii") as file:
            cases = [line.split() for line in file]
        for name, order, resize, kind, size, resize_to, exif, fill in cases:
            expected = data[at:at + 3 * int(size) ** 2]
            at += len(expected)
            if resize == "none" or (kind, resize_to, fill) != ("3", "0", "000000"):
                continue
            more = ["--exif-orientation"] if exif == "1" else []
            code, out, _ = clipd("preprocess", f"{folder}/{name}", "-o", "-", "--order", order,
                                 "--resize", resize, "--size", size, *more)
            self.assertEqual((code, read_png(out)[2]), (0, expected), (name, order, resize))
            checked += 1
        self.assertGreater(checked, 50)

    def test_fast(self):
        """Close to exact, and the same where there is nothing to gain."""
        def pixels(*more):
            code, out, _ = clipd("preprocess", SHIP, "-o", "-", *more)
            self.assertEqual(code, 0)
            return read_png(out)[2]
        exact, fast = pixels("--size", "32"), pixels("--size", "32", "--fast")
        self.assertNotEqual(exact, fast)
        self.assertLess(sum(abs(a - b) for a, b in zip(exact, fast)) / len(exact), 2)
        self.assertEqual(pixels("--size", "65"), pixels("--size", "65", "--fast"))

    def test_instruction_sets(self):
        exact = clipd("preprocess", SHIP, "-o", "-")
        for cpu in ("generic", "avx2", "avx512", "avx512_vnni", "avx512_bf16"):
            self.assertEqual(clipd("preprocess", SHIP, "-o", "-", env={"CLIPD_CPU": cpu}), exact, cpu)
        self.assertEqual(clipd("preprocess", SHIP, "-o", self.out, env={"CLIPD_CPU": "x"})[0], CONFIG)

    def test_failures(self):
        self.assertEqual(clipd("preprocess", "README.md", "-o", self.out)[0], DATA)
        self.assertEqual(clipd("preprocess", "/nonexistent", "-o", self.out)[0], NO_INPUT)
        self.assertEqual(clipd("preprocess", SHIP, "-o", "/nonexistent/x.png")[0], CANNOT_CREATE)
        self.assertEqual(clipd("preprocess", SHIP, "-o", "/dev/full")[0], IO)


class Configuration(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = os.path.join(self.folder.name, "clipd.yaml")

    def write(self, text):
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(text)

    def test_printed_configuration_loads_back(self):
        arguments = ["serve", "--print-config"]
        code, first, err = clipd(*arguments, "--model", MODEL, "--listen", "[::1]:9", "--threads", "3",
                                 "--log-format", "json", "--set", "limits.body_max=1MB")
        self.assertEqual((code, err), (0, ""))
        self.write(first.decode())
        self.assertEqual(clipd(*arguments, "--config", self.path), (0, first, ""))
        self.assertIn(b'  listen: "[::1]:9"\n', first)
        self.assertIn(b"  body_max: 1MB\n", first)

    def test_check(self):
        check = ["serve", "--check-config", "--config", self.path]
        self.write("models:\n  - path: models/starter\n")
        self.assertEqual(clipd(*check), (0, b"", ""))
        self.write("server:\n  listen: :80\nthraeds: 4\n")
        code, _, err = clipd(*check)
        self.assertEqual(code, CONFIG)
        self.assertIn(f"{self.path} line 3: unknown key 'thraeds'", err)
        self.assertEqual(clipd("serve", "--config", self.path)[0], CONFIG)
        self.write("models:\n  - path: /nonexistent\n")
        self.assertEqual(clipd(*check)[0], CONFIG)
        self.write("")
        self.assertEqual(clipd(*check)[0], CONFIG)
        os.unlink(self.path)
        self.assertEqual(clipd(*check)[0], CONFIG)
        self.assertEqual(clipd("serve", "--config", self.path)[0], NO_INPUT)

    def test_check_of_models(self):
        def check(**keys):
            keys = {"path": MODEL, **keys}
            self.write("models:\n  - " + json.dumps(keys) + "\n")
            return clipd("serve", "--check-config", "--config", self.path)
        self.assertEqual(check(), (0, b"", ""))
        self.assertEqual(check(vocab=MODEL, profile="README.md")[0], 0)
        empty = os.path.join(self.folder.name, "empty")
        os.mkdir(empty)
        for keys, message in (({"path": empty}, "empty"), ({"vocab": "/none/vocab"}, "/none/vocab: No such"),
                              ({"profile": "/none/profile"}, "/none/profile: No such"),
                              ({"path": "/none/model"}, "/none/model: No such")):
            code, _, err = check(**keys)
            self.assertEqual(code, CONFIG, keys)
            self.assertIn("clipd: model ", err)
            self.assertIn(message, err)

    def test_warnings_heed_the_log_options(self):
        arguments = ("info", "--model", MODEL)
        code, _, warnings = clipd(*arguments, env={"CLIPD_FOO": "1", "CLIPD_LOG_FORMAT": "json"})
        self.assertEqual(code, 0)
        self.assertIn("CLIPD_FOO", json.loads(warnings)["message"])
        self.assertEqual(clipd(*arguments, env={"CLIPD_FOO": "1", "CLIPD_LOG_LEVEL": "error"})[2],
                         "")

    def test_models_that_are_put_aside(self):
        self.write("models:\n  - path: mine\n")
        arguments = ("serve", "--print-config", "--config", self.path)
        code, out, err = clipd(*arguments, env={"CLIPD_MODEL": MODEL})
        self.assertEqual((code, b"\"mine\"" in out), (0, False))
        self.assertIn("CLIPD_MODEL is set: the models of the configuration file are put aside", err)
        self.assertEqual(clipd(*arguments, "--model", MODEL)[2], "")
        together = {"CLIPD_MODEL": MODEL, "CLIPD_CONFIG": self.path}
        self.assertEqual(clipd("serve", "--print-config", env=together)[2], "")

    def test_the_models_of_the_image(self):
        with open(os.path.join(ROOT, "docker/Dockerfile"), encoding="utf-8") as file:
            [text] = re.findall(r"^ENV ((?:.*\\\n)*.*)$", file.read(), re.M)
        env = dict(word.split("=", 1) for word in text.replace("\\\n", " ").split())
        with open(os.path.join(ROOT, "docker/clipd.yaml"), encoding="utf-8") as file:
            self.write(file.read().replace("/usr/local/share/clipd/", ""))
        self.assertEqual(env["CLIPD_CONFIG"], "/usr/local/share/clipd/clipd.yaml")
        env["CLIPD_CONFIG"] = self.path
        self.assertIn(b'name: "starter"', clipd("serve", "--print-config", env=env)[1])
        self.assertEqual(clipd("serve", "--check-config", env=env)[0], 0)
        own = os.path.join(self.folder.name, "own.yaml")
        with open(own, "w", encoding="utf-8") as file:
            file.write("models:\n  - path: mine\n")
        printed = clipd("serve", "--print-config", "--config", own, env=env)[1]
        self.assertIn(b"\"mine\"", printed)
        printed = clipd("serve", "--print-config", env=dict(env, CLIPD_MODEL="other"))[1]
        self.assertIn(b"\"other\"", printed)

    def test_where_the_file_is_found(self):
        os.mkdir(os.path.join(self.folder.name, "clipd"))
        folder, self.path = self.folder.name, os.path.join(self.folder.name, "clipd", "clipd.yaml")
        self.write("log:\n  level: error\n")
        printed = clipd("serve", "--print-config", env={"XDG_CONFIG_HOME": folder})[1]
        self.assertIn(b"  level: error\n", printed)
        other = os.path.join(folder, "other.yaml")
        with open(other, "w", encoding="utf-8") as file:
            file.write("log:\n  level: debug\n")
        env = {"XDG_CONFIG_HOME": folder, "CLIPD_CONFIG": other}
        self.assertIn(b"  level: debug\n", clipd("serve", "--print-config", env=env)[1])
        printed = clipd("serve", "--print-config", "--config", self.path, env=env)[1]
        self.assertIn(b"  level: error\n", printed)
        self.assertIn(b"  level: info\n", clipd("serve", "--print-config")[1])

    def test_precedence(self):
        self.write("server:\n  listen: 127.0.0.1:1\n")
        arguments = ["serve", "--print-config", "--config", self.path]
        self.assertIn(b"127.0.0.1:1\"", clipd(*arguments)[1])
        env = {"CLIPD_SERVER_LISTEN": "127.0.0.1:2"}
        self.assertIn(b"127.0.0.1:2\"", clipd(*arguments, env=env)[1])
        self.assertIn(b"127.0.0.1:3\"", clipd(*arguments, env=dict(env, PORT="3"))[1])
        self.assertIn(b"127.0.0.1:4\"",
                      clipd(*arguments, "--listen", "127.0.0.1:4", env=dict(env, PORT="3"))[1])


if __name__ == "__main__":
    unittest.main()
