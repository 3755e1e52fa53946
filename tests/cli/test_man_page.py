"""docs/clipd.1 says of every command what its --help says: the same usage, the same options with
the same arguments. Its keys of the configuration are in tests/config/test_schema.c."""

import os
import re
import shlex
import unittest

from program import ROOT, clipd

OPTION = re.compile(r"(?<![\w-])(--?[a-z][a-z-]*)(?: ([A-Z][^ ]*))?")


def help_of(command):
    code, out, err = clipd(*command.split(), "--help")
    assert (code, err) == (0, ""), (command, code, err)
    return out.decode()


def commands():
    listed = re.findall(r"^  (\w+) ", clipd("help")[1].decode(), re.MULTILINE)
    return [name for name in listed if name != "help"]


def usages(text):
    """What follows "usage:", without a remark behind it."""
    head = text.split("\n\n")[0].removeprefix("usage: ")
    return [line.strip().split("   ")[0] for line in head.splitlines()]


def options(text):
    """(option, argument) in a line of its own, or in a line that it shares."""
    return {(name, argument.rstrip(",")) for name, argument in OPTION.findall(text)}


def helped(text):
    """The options of a help, each at the beginning of a line, two spaces before what it does."""
    lines = [line[2:].split("  ")[0] for line in text.splitlines() if line.startswith("  -")]
    return set().union(*map(options, lines))


def read_page():
    with open(os.path.join(ROOT, "docs/clipd.1"), encoding="utf-8") as file:
        return re.sub(r"\\f.", "", file.read().replace("\\-", "-"))


def section(page, kind, title):
    found = re.search(rf"^\.{kind} {re.escape(title)}\n(.*?)(?=^\.S[HS] |\Z)", page, re.MULTILINE | re.DOTALL)
    return found.group(1) if found else ""


def flat(line):
    """A line as it is printed: macros of two fonts, such as .BI, put their words together."""
    if not line.startswith("."):
        return line
    macro, *words = shlex.split(line)
    return (" " if macro == ".B" else "").join(words)


def headed(text):
    """The options that have an entry in a section of the page."""
    heads = [re.sub(r" +", " ", flat(line)) for line in re.findall(r"^\.TP\n(.*)$", text, re.MULTILINE)]
    return set().union(*map(options, heads))


class ManPage(unittest.TestCase):
    def test_synopsis(self):
        synopsis = section(read_page(), "SH", "SYNOPSIS")
        shown = [" ".join(flat(line) for line in entry.strip().split("\n"))
                 for entry in synopsis.split("\n.br\n")]
        expected = []
        for name in commands():
            expected += [usage for usage in usages(help_of(name)) if usage not in expected]
        self.assertEqual(shown, expected)

    def test_options(self):
        """Those of several commands may stand in OPTIONS instead."""
        page = read_page()
        shared = headed(section(page, "SH", "OPTIONS"))
        titles = re.findall(r"^\.SS (.*)$", page, re.MULTILINE)
        seen = []
        self.assertEqual([title.split()[0] for title in titles if title != "bench search"], commands())
        for title in titles:
            listed = helped(help_of(title.replace("eval retrieval", "eval")))
            own = headed(section(page, "SS", title))
            seen += listed
            self.assertEqual(own - listed, set(), f"{title}: in the page alone")
            self.assertEqual(listed - own - shared, set(), f"{title}: in --help alone")
        for option in shared:
            self.assertGreater(seen.count(option), 1, option)


if __name__ == "__main__":
    unittest.main()
