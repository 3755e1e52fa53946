#!/usr/bin/env python3
"""gen_text_tables.py SHARED - writes core/text/text_tables.c.

SHARED is the folder with spec/data/ftfy_tables.json (ftfy 6.3.1) and
goldens/tokenizer/unicode_tables.json (the regex module, Unicode 15.0). HTML's names, digits,
lower-case mappings and the sigma rule come from Python itself, which has to be one with
Unicode 14.0 (3.11), as the one the reference ids were made with. What hf-fast knows besides
is found by asking the module tokenizers (pip install tokenizers) about every character.
"""

import html
import html.entities
import json
import os
import sys
import unicodedata

import tokenizers

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def ranges_of(points):
    """Sorted code points as [first, last] pairs."""
    out = []
    for c in sorted(points):
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def sigma_classes():
    """Cased and case-ignorable characters, as lower() itself takes them."""
    cased, ignorable = [], []
    for c in POINTS:
        after_letter = ("a" + chr(c) + "\u03a3").lower()[-1] == "\u03c2"
        after_digit = ("1" + chr(c) + "\u03a3").lower()[-1] == "\u03c2"
        if after_digit:
            cased.append(c)
        elif after_letter:
            ignorable.append(c)
    return cased, ignorable


def ftfy_fixes(tables):
    """The four per-character steps of ftfy, one after the other, as (character, fixed)."""
    steps = [{}]
    for c in range(0x80, 0xA0):
        steps[0][chr(c)] = bytes([c]).decode("cp1252", "ignore") or chr(c)
    for name in "ligatures", "width_map":
        steps.append({chr(int(k, 16)): v for k, v in tables[name].items()})
    quotes = {c: "'" for c in "\u02bc\u2018\u2019\u201a\u201b"}
    quotes.update({c: '"' for c in "\u201c\u201d\u201e\u201f"})
    steps.append(quotes)
    out = []
    for char in sorted(set().union(*steps)):
        fixed = char
        for step in steps:
            fixed = "".join(step.get(c, c) for c in fixed)
        if fixed != char:
            out.append((ord(char), fixed))
    return out


def hf_class(pattern):
    """The characters that a class of the tokenizers module matches."""
    replace = tokenizers.normalizers.Replace(tokenizers.Regex(pattern), "")
    return {c for c in POINTS if replace.normalize_str(chr(c)) == ""}


def hf_marks():
    """What the NFC of the tokenizers module sorts by class: what moves before U+0345."""
    nfc = tokenizers.normalizers.NFC()
    last = "\u0345"
    marks = [c for c in POINTS if unicodedata.combining(chr(c))]
    return [c for c in marks if chr(c) == last or nfc.normalize_str(last + chr(c))[0] != last]


def beyond(points, ranges):
    """Of `points` the ranges that are not in `ranges`, all of which are in `points`."""
    known = {c for first, last in ranges for c in range(first, last + 1)}
    assert known <= points
    return ranges_of(points - known)


def c_string(text):
    """A C literal; a hexadecimal escape is closed by ending the literal."""
    out = ""
    for b in text.encode():
        if chr(b) in '"\\':
            out += "\\" + chr(b)
        elif 0x20 <= b < 0x7F:
            out += chr(b)
        else:
            out += f"\\{b:03o}"
    return f'"{out}"'


def write_rows(out, rows):
    line = "   "
    for row in rows:
        if len(line) + len(row) + 2 > 100:
            out.append(line)
            line = "   "
        line += f" {row},"
    out.append(line)


def write_ranges(out, name, ranges):
    out.append(f"static const struct text_range {name}_ranges[] = {{")
    write_rows(out, [f"{{0x{a:x}, 0x{b:x}}}" for a, b in ranges])
    out.append("};")
    out.append(f"const struct text_ranges text_{name} = {{{name}_ranges, {len(ranges)}}};\n")


def write_table(out, kind, name, rows):
    out.append(f"const struct {kind} {name}[] = {{")
    write_rows(out, rows)
    out.append(f"}};\nconst size_t {name}_count = {len(rows)};\n")


def main(shared):
    if unicodedata.unidata_version != "14.0.0":
        sys.exit(f"this Python knows Unicode {unicodedata.unidata_version}, expected 14.0.0")
    with open(f"{shared}/goldens/tokenizer/unicode_tables.json", encoding="utf-8") as file:
        regex = json.load(file)
    with open(f"{shared}/spec/data/ftfy_tables.json", encoding="utf-8") as file:
        ftfy = json.load(file)
    cased, ignorable = sigma_classes()
    digits = [c for c in POINTS if chr(c).isdecimal()]
    lower = [(c, chr(c).lower() if c != 0x3A3 else "\u03c3") for c in POINTS]
    lower = [(c, low) for c, low in lower if low != chr(c)]
    assert [[c, *map(ord, low)] for c, low in lower] == regex["lower"]
    hf_lower = tokenizers.normalizers.Lowercase()
    hf_lower = dict((c, hf_lower.normalize_str(chr(c))) for c in POINTS)
    assert all(hf_lower[c] == low for c, low in lower)
    known = dict(lower)
    hf_lower = [(c, low) for c, low in hf_lower.items() if c not in known and low != chr(c)]
    assert not beyond(hf_class(r"\s"), regex["S"])
    fixes = ftfy_fixes(ftfy)
    assert fixes[0][0] >= 0x80
    entities = sorted(html.entities.html5.items())
    extras = sorted((k[1:], v) for k, v in ftfy["uppercase_entity_extras"].items())
    assert max(len(k) for k, _ in entities + extras) == 32
    assert max(len(k) for k, _ in entities if k[-1] != ";") == 6

    out = [
        "/* text_tables.c - Generated by tools/gen_text_tables.py; do not edit.",
        " *",
        " * Letters, numbers and spaces: the regex module, Unicode 15.0. Digits, lower case and",
        " * sigma: Python 3.11, Unicode 14.0. HTML: Python's html.entities (HTML 5).",
        f" * Fixes and upper-case names: ftfy {ftfy['ftfy']}. hf: the module tokenizers",
        f" * {tokenizers.__version__}, Unicode 16.0, lower case 17.0, marks 9.0. */",
        "/* clang-format off */",
        '#include "core/text/text_tables.h"\n',
    ]
    write_ranges(out, "letters", regex["L"])
    write_ranges(out, "numbers", regex["N"])
    write_ranges(out, "spaces", regex["S"])
    write_ranges(out, "digits", ranges_of(digits))
    write_ranges(out, "cased", ranges_of(cased))
    write_ranges(out, "case_ignorable", ranges_of(ignorable))
    write_ranges(out, "hf_letters", beyond(hf_class(r"\p{L}"), regex["L"]))
    write_ranges(out, "hf_numbers", beyond(hf_class(r"\p{N}"), regex["N"]))
    write_ranges(out, "hf_marks", ranges_of(set(hf_marks())))
    tables = {"text_lower": lower, "text_hf_lower": hf_lower, "text_fixes": fixes}
    for name, rows in tables.items():
        rows = [f"{{0x{c:x}, {c_string(to)}}}" for c, to in rows]
        write_table(out, "text_replacement", name, rows)
    for name, rows in ("text_entities", entities), ("text_ftfy_entities", extras):
        rows = [f"{{{c_string(k)}, {c_string(v)}}}" for k, v in rows]
        write_table(out, "text_entity", name, rows)
    out.append("const uint16_t text_c1_references[32] = {")
    write_rows(out, [f"0x{ord(html.unescape(f'&#{c};')):x}" for c in range(0x80, 0xA0)])
    out.append("};")
    with open(f"{ROOT}/core/text/text_tables.c", "w", encoding="ascii") as file:
        file.write("\n".join(out) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
