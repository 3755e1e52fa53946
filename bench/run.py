#!/usr/bin/env python3
"""The standard measurements of one machine, kept and compared.

    bench/run.py [--strict] [--dry-run] [BUILD]

Runs the benches of BUILD (build/release): kernels, `clipd bench`, a server with a random ViT-B-32
under load, and ready embeddings put into a server's store. Writes bench/results/DATE-CPU.json, compares with the last result of the
same CPU there, and marks what lost more than 5 %. With --strict such a loss is exit status 1.
--dry-run writes nothing. What neighbours do meanwhile is measured, too: repeat before you
believe; kernels are measured in CPU time and suffer least."""

import array
import base64
import contextlib
import datetime
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RESULTS = os.path.join(ROOT, "bench/results")
MODEL = os.path.join(ROOT, "build/bench/ViT-B-32")
PICTURE = "photo:500x375"
LOSS = 0.05
CORES = len(os.sched_getaffinity(0))
DIM, ITEMS, BATCH = 512, 20000, 100


def output(*command, accept=(0,)):
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False)
    if done.returncode not in accept:
        sys.exit(f"run.py: {' '.join(command)} ended with {done.returncode}")
    return done.stdout.decode()


def json_lines(text):
    return [json.loads(line) for line in text.splitlines()]


def bench_kernels(build):
    """GFLOP/s in CPU time."""
    rows = json_lines(output(f"{build}/bench/kernels", "--json"))
    return {f"{row['name']}, GFLOP/s": row["gflops"] for row in rows}, rows


def bench_models(build):
    threads = ",".join(map(str, sorted({1, CORES})))
    rows = json_lines(output(f"{build}/clipd", "bench", "--json", "--arch", "ViT-B-32-quickgelu", "--batch", "1,8",
                             "--threads", threads, "--seconds", "0.4", "--repeats", "3"))
    values = {}
    for row in rows:
        unit = "images/s" if row["tower"] == "image" else f"texts/s of {row['tokens']}"
        name = f"{row['precision']}, batch {row['batch']}, threads {row['threads']}, {row['mode']}, {unit}"
        values[name] = row["items_per_second"]
        if row["cpu_share"]:
            values[f"{name} of CPU time"] = row["cpu_share"] * row["peak_gflops"] / row["gflops"] * row["items_per_second"]
    return values, rows


@contextlib.contextmanager
def running(build, model, *options):
    os.environ["CLIPD"] = f"{build}/clipd"
    sys.path.insert(0, os.path.join(ROOT, "tests/http"))
    from harness import Server
    with Server(model, args=["--no-cache", *options]) as server:
        while server.get("/readyz")[0] != 200:
            time.sleep(0.05)
        yield server


def bench_server(build, precision):
    """As many requests as it answers; then, at half that rate, how long they wait."""
    with running(build, MODEL, "--precision", precision, "--log-level", "info") as server:

        def load(*options):
            return json.loads(output(f"{build}/bench/load", "--json", *options,
                                     f"http://127.0.0.1:{server.port}/embed/image", PICTURE))

        load("--clients", str(4 * CORES), "--seconds", "1")
        full = load("--clients", str(4 * CORES), "--seconds", "5")
        half = load("--rate", str(full["requests_per_second"] / 2), "--seconds", "6")
    name = f"server {precision}"
    return {f"{name}, requests/s": full["requests_per_second"],
            f"{name}, at half that rate, 1/p50, 1/s": 1000 / half["p50_ms"]}, [full, half]


def bench_upserts(build):
    """Durable upserts of ready embeddings by one client, which is this process: batches of JSON,
    one stream of NDJSON, .npy files. The bodies are made before."""
    chance = random.Random(1)
    rows = [array.array("f", (chance.gauss(0, 1) for _ in range(DIM))).tobytes() for _ in range(ITEMS)]
    items = [json.dumps({"id": f"{i:06}", "embedding": base64.b64encode(row).decode()}) for i, row in enumerate(rows)]
    batches = range(0, ITEMS, BATCH)
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({BATCH}, {DIM}), }}".ljust(117) + "\n"
    head = b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode()
    forms = {"JSON": ("application/json", [f'{{"items": [{",".join(items[i:i + BATCH])}]}}'.encode() for i in batches]),
             "NDJSON": ("application/x-ndjson", ["\n".join(items).encode()]),
             "npy": ("application/x-npy", [head + b"".join(rows[i:i + BATCH]) for i in batches])}
    values = {}
    with tempfile.TemporaryDirectory() as folder, \
            running(build, "models/starter", "--set", f"store.location={folder}/store") as server:
        for form, (kind, bodies) in forms.items():
            path = f"/collections/{form}"
            spec = {"model": "ready", "model_digest": "ab" * 32, "dim": DIM}
            server.request("PUT", path, json.dumps(spec), {"Content-Type": "application/json"})
            connection = server.connection()
            started = time.monotonic()
            for at, body in zip(batches, bodies):
                connection.request("POST", f"{path}/items" + (f"?prefix={at}-" if form == "npy" else ""),
                                   body, {"Content-Type": kind})
                answer = connection.getresponse()
                if b'"inserted": 0' in answer.read() or answer.status != 200:
                    sys.exit(f"run.py: an upsert was answered with {answer.status}")
            values[f"upserts over HTTP, {form}, items/s"] = ITEMS / (time.monotonic() - started)
            connection.close()
    return values, []


def cpu_name():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        found = re.search(r"^model name\s*: (.+)$", file.read(), re.M)
    return found.group(1).strip() if found else "unknown"


def last_result(suffix):
    names = sorted(name for name in os.listdir(RESULTS) if name.endswith(suffix)) if os.path.isdir(RESULTS) else []
    if not names:
        return None, None
    with open(os.path.join(RESULTS, names[-1]), encoding="utf-8") as file:
        return names[-1], json.load(file)


def compare(values, name, last):
    """Prints every value beside its last one; all of them are better when larger."""
    losses = 0
    print(f"{'':62}{'now':>10}" + (f"{'last':>10}{'ratio':>8}   ({name})" if last else ""))
    for key, value in values.items():
        before = last["values"].get(key) if last else None
        if not before:
            print(f"{key:62}{value:10.2f}")
            continue
        lost = value < before * (1 - LOSS)
        losses += lost
        print(f"{key:62}{value:10.2f}{before:10.2f}{value / before:8.3f}{'  LOSS' if lost else ''}")
    if last:
        print(f"{losses} of {len(values)} lost more than {LOSS:.0%}")
    return losses


def main(arguments):
    options = {name for name in arguments if name.startswith("--")}
    folders = [name for name in arguments if name not in options]
    if options - {"--strict", "--dry-run"} or len(folders) > 1:
        sys.exit("usage: run.py [--strict] [--dry-run] [BUILD]")
    build = os.path.join(ROOT, folders[0] if folders else "build/release")
    if not os.path.exists(f"{MODEL}/model.safetensors"):
        output(sys.executable, "tools/make_random_model.py", MODEL)
    neighbours = os.getloadavg()[0]
    if neighbours > 0.5:
        print(f"run.py: {neighbours:.1f} other programs are running; rates in real time will be low")
    values, parts = {}, {}
    for part, measured in (("kernels", bench_kernels(build)), ("models", bench_models(build)),
                           *((f"server {p}", bench_server(build, p)) for p in ("fp32", "bf16", "int8")),
                           ("upserts", bench_upserts(build))):
        values.update(measured[0])
        parts[part] = measured[1]
    cpu = cpu_name()
    suffix = "-" + re.sub(r"[^a-z0-9]+", "-", cpu.lower()).strip("-") + ".json"
    losses = compare(values, *last_result(suffix))
    if "--dry-run" not in options:
        os.makedirs(RESULTS, exist_ok=True)
        result = {"date": datetime.date.today().isoformat(), "cpu": cpu, "cores": CORES, "load_average": neighbours,
                  "commit": output("git", "describe", "--always", "--dirty", accept=(0, 128)).strip(),
                  "values": values, "rows": parts}
        path = os.path.join(RESULTS, result["date"] + suffix)
        with open(path, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)
            file.write("\n")
        print(f"written to {os.path.relpath(path, ROOT)}")
    return 1 if losses and "--strict" in options else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
