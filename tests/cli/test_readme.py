"""What README.md shows is what comes out."""

import os
import subprocess
import sys
import tempfile
import time
import unittest

from program import BINARY, MODEL, ROOT, environment

sys.path.insert(0, os.path.join(ROOT, "tests/http"))
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


if __name__ == "__main__":
    unittest.main()
