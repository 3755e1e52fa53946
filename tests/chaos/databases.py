"""PostgreSQL servers of tools/postgres_for_tests.sh, for run_chaos.py to disturb."""

import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOL = os.path.join(ROOT, "tools/postgres_for_tests.sh")
servers = []


def tool(*arguments):
    # A server inherits what it is started with, so its output must not be a pipe of ours.
    with tempfile.TemporaryFile("w+") as out:
        subprocess.run([TOOL, *arguments], check=True, stdout=out, stdin=subprocess.DEVNULL)
        out.seek(0)
        return out.read().strip()


def server(kind, name, *more):
    """(name, address) of a new one."""
    name = f"{name}-{os.getpid()}"
    servers.append(name)
    return name, tool(kind, name, *more)


def remove_all():
    for name in servers:
        tool("remove", name)


def must(holds, message):
    if not holds:
        sys.exit("chaos: " + message)
