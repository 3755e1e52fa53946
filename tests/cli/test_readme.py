"""What README.md shows is what comes out."""

import os
import re
import subprocess
import sys
import tempfile
import time
import unittest

from program import BINARY, MODEL, ROOT, environment

sys.path[:0] = [os.path.join(ROOT, "tests/http"), os.path.join(ROOT, "tools")]
import check_readme
import contract
from harness import Server


class Readme(unittest.TestCase):
    def test_examples(self):
        with tempfile.TemporaryDirectory() as folder, Server(
                MODEL, args=["--precision", "fp32", "--set", f"store.location={folder}/server"],
                env=environment()) as server:
            while server.get("/readyz")[0] != 200:
                time.sleep(0.01)
            path = os.path.dirname(BINARY) + ":" + os.environ["PATH"]
            done = subprocess.run(
                [sys.executable, "tools/check_readme.py", f"http://127.0.0.1:{server.port}"], cwd=ROOT,
                env=environment(PATH=path, XDG_DATA_HOME=folder, CLIPD_PRECISION="fp32"), capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_every_operation_is_shown(self):
        with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
            commands = [command for command, _ in check_readme.examples(file.read())]
        for name, (method, path, _) in contract.operations.items():
            path = re.sub(r"\\{\w+\\}", r"[^/?' ]+", re.escape(path))
            url = re.escape(check_readme.SHOWN) + path + r"(?=[?' \n]|$)"
            shown = [command for command in commands if re.search(url, command)]
            self.assertIn(method, {self.method_of(command) for command in shown}, name)

    @staticmethod
    def method_of(command):
        """What this curl sends, as its manual page says."""
        given = re.search(r" -X (\w+)", command)
        with_body = re.search(r" (-d|-F|--data-binary) ", command)
        return given.group(1) if given else "POST" if with_body else "GET"


if __name__ == "__main__":
    unittest.main()
