"""Runs the program once and says what came out.

The program is $CLIPD, else build/release/clipd. What the caller's environment says of
clipd is left out, so that a test sees the defaults."""

import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.path.join(ROOT, os.environ.get("CLIPD", "build/release/clipd"))
MODEL = "models/starter"
TIMEOUT_S = float(os.environ.get("TEST_TIMEOUT", "240"))  # a sanitizer takes its time
USAGE, DATA, NO_INPUT, UNAVAILABLE, CANNOT_CREATE, IO, NOT_ALLOWED, CONFIG = (
    64, 65, 66, 69, 73, 74, 77, 78)


def environment(**more):
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith(("CLIPD_", "HF_", "HUGGING"))
            and name not in ("PORT", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "http_proxy")}
    return {**kept, "HOME": "/nonexistent", **more}


def clipd(*arguments, stdin=b"", env=None, **options):
    """(exit code, standard output, standard error), the last as text."""
    if isinstance(stdin, str):
        stdin = stdin.encode()
    done = subprocess.run([BINARY, *arguments], input=stdin, cwd=ROOT, timeout=TIMEOUT_S, check=False,
                          env=environment(**(env or {})), capture_output=True, **options)
    return done.returncode, done.stdout, done.stderr.decode()


def without_rights(*arguments):
    """The same by somebody whom permissions bind, which root is only without its capabilities."""
    drop = [] if os.geteuid() else ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    done = subprocess.run([*drop, BINARY, *arguments], cwd=ROOT, timeout=TIMEOUT_S, check=False,
                          env=environment(), capture_output=True)
    return done.returncode, done.stdout, done.stderr.decode()


def on_terminal(*arguments, env=None):
    """The few lines that a terminal gets of it."""
    controller, terminal = os.openpty()
    subprocess.run([BINARY, *arguments], cwd=ROOT, stdout=terminal, timeout=TIMEOUT_S, check=True,
                   env=environment(**(env or {})))
    os.close(terminal)
    text = os.read(controller, 4096).decode()
    os.close(controller)
    return text.split("\r\n")
