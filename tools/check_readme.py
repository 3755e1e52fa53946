#!/usr/bin/python3
"""check_readme.py URL - runs what README.md shows and compares what comes out.

In each ```console block the lines that begin with "$ " (and those that continue them
after a backslash or a pipe) are run in a shell, with URL in place of
http://127.0.0.1:8080; what follows is the expected output. JSON is compared as such:
numbers with a point to the decimals that are shown, "..." stands for any string or number, a
list that ends in ... for a longer one. Of other output every line must match, and a
line ... stands for any lines. Prints what differs; exits 1 if anything does.
"""
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHOWN = "http://127.0.0.1:8080"
ANY = "..."


class Number(str):
    """A number as it is written, so that its decimals can be counted."""


def differs(shown, found, where=""):
    """What differs, as text; empty when nothing does."""
    if isinstance(shown, Number):
        decimals = len(shown.partition(".")[2])
        # Half a unit of the last place, and a little for machines that round differently.
        if isinstance(found, (int, float)) and abs(float(shown) - found) <= 0.51 * 10**-decimals:
            return ""
    elif isinstance(shown, list) and isinstance(found, list):
        rest = bool(shown) and shown[-1] == ANY and len(found) >= len(shown)
        if not rest and len(shown) != len(found):
            return f"{where}: shown {len(shown)} items, found {len(found)}"
        pairs = zip(shown[:-1] if rest else shown, found)
        return "".join(differs(a, b, f"{where}/{i}") for i, (a, b) in enumerate(pairs))
    elif isinstance(shown, dict) and isinstance(found, dict):
        if list(shown) != list(found):
            return f"{where}: shown {list(shown)}, found {list(found)}"
        return "".join(differs(value, found[key], f"{where}/{key}") for key, value in shown.items())
    elif shown == found and type(shown) is type(found) or shown == ANY and isinstance(found, (str, int, float)):
        return ""
    return f"{where}: shown {shown}, found {found}\n"


def compare_json(shown, found):
    """Shown values may spread over lines, but found ones are one a line."""
    decoder = json.JSONDecoder(parse_float=Number)
    shown = re.sub(r"(?<!\")\.\.\.(?!\")", f'"{ANY}"', shown)
    values = []
    while shown.strip():
        value, end = decoder.raw_decode(shown.lstrip())
        values.append(value)
        shown = shown.lstrip()[end:]
    return differs(values, [json.loads(line) for line in found.splitlines()])


def compare_lines(shown, found):
    pattern = "".join(r"(.*\n)*" if line == ANY else re.escape(line) + "\n"
                      for line in shown.strip().splitlines())
    return "" if re.fullmatch(pattern, found.rstrip("\n") + "\n") else f"shown:\n{shown}found:\n{found}"


def examples(text):
    """(command, shown output) of every example."""
    for block in re.findall(r"```console\n(.*?)```", text, re.S):
        for example in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, shown = example.partition("\n")
            while command.endswith(("\\", "|")):
                line, _, shown = shown.partition("\n")
                command += "\n" + line
            yield command, shown


def main():
    url = sys.argv[1]
    count = failed = 0
    for command, shown in examples((ROOT / "README.md").read_text(encoding="utf-8")):
        count += 1
        done = subprocess.run(["bash", "-c", command.replace(SHOWN, url)], cwd=ROOT, timeout=60,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        is_json = shown.lstrip()[:1] in "{["
        problem = (compare_json if is_json else compare_lines)(shown, done.stdout)
        if done.returncode or problem:
            failed += 1
            print(f"$ {command}\nexit {done.returncode}\n{problem}{done.stderr}")
    print(f"{count} examples, {failed} differ")
    return 1 if failed or not count else 0


if __name__ == "__main__":
    sys.exit(main())
