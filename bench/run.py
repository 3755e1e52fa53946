#!/usr/bin/env python3
"""The standard measurements of one machine, kept and compared.

    bench/run.py [--strict] [BUILD]

Runs the benches of BUILD (build/release): kernels, `clipd bench`, and a server under load
with a random ViT-B-32. Writes bench/results/DATE-CPU.json, compares with the last result of
the same CPU there, and marks what lost more than 5 %. With --strict such a loss is exit
status 1. What other programs do meanwhile is measured, too: repeat before you believe."""

import datetime
import json
import os
import re
import signal
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RESULTS = os.path.join(ROOT, "bench/results")
MODEL = os.path.join(ROOT, "build/bench/ViT-B-32")
PICTURE = os.path.join(ROOT, "build/bench/picture.jpg")
LOSS = 0.05
ENVIRONMENT = {name: value for name, value in os.environ.items()
               if not name.startswith("CLIPD_") or name == "CLIPD_CPU"}


def output(*command):
    return subprocess.run(command, check=True, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE).stdout.decode()


def bench_kernels(build, values):
    """GFLOP/s of products and attention, in CPU time."""
    for row in map(json.loads, output(f"{build}/bench/kernels", "--json").splitlines()):
        values[f"kernel {row['name']}, GFLOP/s"] = row["gflops"]


def bench_models(build, values, rows):
    cores = len(os.sched_getaffinity(0))
    threads = f"1,{cores}" if cores > 1 else "1"
    for row in map(json.loads, output(
            f"{build}/clipd", "bench", "--json", "--arch", "ViT-B-32", "--batch", "1,8", "--threads", threads,
            "--seconds", "0.5", "--repeats", "3").splitlines()):
        rows.append(row)
        what = f"{row['tower']} {row['precision']}, {row['tokens']} tokens, batch {row['batch']}"
        name = f"{what}, threads {row['threads']}, {row['mode']}"
        values[f"{name}, a second"] = row["items_per_second"]


def serve(build):
    """A server with a random model: (process, port)."""
    if not os.path.exists(f"{MODEL}/model.safetensors"):
        output(sys.executable, "tools/make_random_model.py", MODEL)
    process = subprocess.Popen(
        [f"{build}/clipd", "serve", "--model", MODEL, "--listen", "127.0.0.1:0", "--no-cache",
         "--log-level", "info"], cwd=ROOT, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    port = None
    for line in process.stderr:
        found = re.search(r"listening on http://\S*:(\d+)", line)
        port = int(found.group(1)) if found else port
        if port and "ready" in line:
            return process, port
    sys.exit(f"run.py: the server ended with {process.wait()}")
