#!/usr/bin/env python3
"""gen_mojibake_tables.py SHARED - writes core/text/mojibake_tables.c.

SHARED is the folder with spec/data/ftfy_tables.json: the encodings that ftfy 6.3.1
(Apache-2.0) tries, its categories of characters, and its signs of UTF-8. RULES says which of
its categories must not meet, as its badness.py does. A rule is a few sets of characters, one
after the other; every set is one bit of two words, and a character's row has the bits of all
sets that it is in, so that one pass over a text with shifts and masks finds every rule.
"""

import json
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
CLUES = [
    "utf8_first_of_2",
    "utf8_first_of_3",
    "utf8_first_of_4",
    "utf8_continuation",
    "utf8_continuation_strict",
]
WORDS = 2
LOST = 0xFFFD  # byte 1A in the sloppy encodings

LETTERS = "{lower_accented}{upper_accented}"
QUOTES = "{start_punctuation}{end_punctuation}"
ODD = LETTERS + QUOTES + "{box}{currency}{numeric}{law}"
# Sets as in a regular expression's brackets; ^ first: only where the text begins.
RULES = [
    # Characters that are hardly ever meant.
    ["{c1}"],
    ["{bad}" + ODD, "{bad}"],
    ["{bad}", ODD],
    ["a-zA-Z", "{lower_common}{upper_common}", "{bad}"],
    # Letters, signs and punctuation that do not stand side by side in any language.
    ["{lower_accented}{lower_common}{box}{end_punctuation}{currency}{numeric}", "{upper_accented}"],
    ["{box}{end_punctuation}{currency}{numeric}", "{lower_accented}"],
    ["{lower_accented}{box}{end_punctuation}", "{currency}"],
    [r"\s", "{upper_accented}", "{currency}"],
    ["{upper_accented}{box}", "{numeric}{law}"],
    [LETTERS + "{box}{currency}{end_punctuation}", "{start_punctuation}", "{numeric}"],
    [LETTERS + "{currency}{numeric}{box}{law}", "{end_punctuation}", "{start_punctuation}"],
    ["{currency}{numeric}{box}", "{start_punctuation}"],
    ["a-z", "{upper_accented}", "{start_punctuation}{currency}"],
    [LETTERS, QUOTES, r"\w"],
    ["{box}", "{kaomoji}{end_punctuation}"],
    [LETTERS + QUOTES + "{currency}{numeric}{law}", "{box}"],
    ["Œœ", "^A-Za-z"],
    ["{upper_accented}", "°"],
    # Windows-1252 and Latin-1.
    ["ÂÃÎÐ", QUOTES + "€œŠš¢£Ÿž\u00a0\u00ad®©°·»–—´"],
    ["×", "²³"],
    ["ØÙ", "{common}{currency}{bad}{numeric}{start_punctuation}ŸŠ®°µ»"] * 2,
    ["à", "²µ¹¼½¾"],
    ["Ã", "\u00a0¡"],
    ["a-z", "ÃÂ", " "],
    ["a-z", r"\s", "ÃÂ", " "],
    ["^ÃÂ", " "],
    ["a-z.,?!{end_punctuation}", "Â", " " + QUOTES],
    # MacRoman.
    ["√", "±∂†≠®™´≤≥¥µø"],
    ["≈", "°¢"],
    ["‚", "Ä", "ìîïòôúùû†°¢π"],
    ["‚", "âó", "àä°ê"],
    # Windows-1251, -1253, -1257.
    ["в", "Ђ"],
    ["ВГРС", "{c1}{bad}{currency}°µ" + QUOTES, "ВГРС"],
    ["Г", "ў", "В", "Ђ", "В", "^\n", "A-Za-z "],
    ["β", "€", "™\u00a0Ά\u00ad®°"],
    ["ΒΓΞΟ", "{c1}{bad}{currency}°" + QUOTES, "ΒΓΞΟ"],
    ["ā", "€"],
]


def place(rules):
    """Which word and bit each set of each rule has: (word, bit, set, first, anchored, last)."""
    used = [0] * WORDS
    for rule in rules:
        word = next(i for i in range(WORDS) if used[i] + len(rule) <= 64)
        for i, chars in enumerate(rule):
            anchored = i == 0 and chars[0] == "^"
            yield word, used[word] + i, chars[anchored:], i == 0, anchored, i == len(rule) - 1
        used[word] += len(rule)


def bits_of(places):
    out = [0] * WORDS
    for word, bit in places:
        out[word] |= 1 << bit
    return out


def words(values):
    return "{" + ", ".join(f"0x{v:x}" if v else "0" for v in values) + "}"


def main(shared):
    with open(f"{shared}/spec/data/ftfy_tables.json", encoding="utf-8") as file:
        tables = json.load(file)
    categories = {k: "".join(map(chr, v)) for k, v in tables["badness_categories"].items()}
    assert not set("-^\\]") & set("".join(categories.values()))
    sets = [
        (word, bit, re.compile("[" + chars.format(**categories) + "]"), first, anchored, last)
        for word, bit, chars, first, anchored, last in place(RULES)
    ]
    encodings = tables["encodings_in_order_0x80_0xFF"]
    clues = [set(tables["utf8_clues"][name]) for name in CLUES]
    assert not clues[0] & clues[1] | clues[0] & clues[2] | clues[1] & clues[2]
    bytes_of = {c: [0] * len(encodings) for c in range(0x80, 0x100)}
    for i, (name, points) in enumerate(encodings.items()):
        assert len(set(points)) == 128
        for byte, c in enumerate(points, 0x80):
            bytes_of.setdefault(c, [0] * len(encodings))[i] = byte
        if name.startswith("sloppy"):
            bytes_of.setdefault(LOST, [0] * len(encodings))[i] = 0x1A
    everything = chr(0x10FFFF)  # in no set but those of nearly all characters
    other = bits_of((w, b) for w, b, chars, *_ in sets if chars.match(everything))
    word = bits_of((w, b) for w, b, chars, *_ in sets if chars.pattern == r"[\w]")
    known = {*range(0x80), *bytes_of, *(ord(c) for v in categories.values() for c in v)}
    known |= set().union(*clues) | {c for c in POINTS if chr(c).isspace()}
    rows = []
    for c in sorted(known):
        rules = bits_of((w, b) for w, b, chars, *_ in sets if chars.match(chr(c)))
        clue = sum(1 << i for i, points in enumerate(clues) if c in points)
        encoded = bytes_of.get(c, [0] * len(encodings)) if c >= 0x80 else [0] * len(encodings)
        rows.append(f"    {{0x{c:x}, {clue}, {words(encoded)}, {words(rules)}}},")
    for c in set(POINTS) - known:
        for w, b, chars, *_ in sets if chr(c).isalnum() else []:
            assert chars.pattern == r"[\w]" or bool(chars.match(chr(c))) == (other[w] >> b & 1)
    out = [
        "/* mojibake_tables.c - Generated by tools/gen_mojibake_tables.py; do not edit.",
        " *",
        " * Encodings, categories, rules and signs of UTF-8: those of",
        f" * ftfy {tables['ftfy']} (Apache-2.0). */",
        "/* clang-format off */",
        '#include "core/text/mojibake_tables.h"\n',
        "const struct mojibake_character mojibake_characters[] = {",
        *rows,
        "};",
        f"const size_t mojibake_characters_count = {len(rows)};\n",
        "const struct mojibake_rules mojibake_rules = {",
        f"    .first = {words(bits_of((w, b) for w, b, _, f, a, _l in sets if f and not a))},",
        f"    .at_begin = {words(bits_of((w, b) for w, b, _, f, _a, _l in sets if f))},",
        f"    .last = {words(bits_of((w, b) for w, b, _, _f, _a, last in sets if last))},",
        f"    .other = {words(other)},",
        f"    .word = {words(word)},",
        "};",
    ]
    with open(f"{ROOT}/core/text/mojibake_tables.c", "w", encoding="ascii") as file:
        file.write("\n".join(out) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
