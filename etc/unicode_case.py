#!/usr/bin/python3
"""
Writes policy/cel/unicode_case.def: the one-to-one case mappings of Unicode, which upper() and
lower() of expressions use. Run it from the top folder after an update of Python's Unicode data:

    etc/unicode_case.py > policy/cel/unicode_case.def

Python knows the full mappings, which may give several characters. Where they do, the titlecase form
is the one-to-one mapping if it is a single character (the Greek letters with iota subscript), and
else there is none.
"""

import sys
import unicodedata


def upper(c):
    for mapped in (c.upper(), c.title()):
        if len(mapped) == 1:
            return mapped
    return c


def lower(c):
    return "i" if c == "\u0130" else c.lower() if len(c.lower()) == 1 else c


def runs(mapping):
    """(first, last, step, delta): every step-th code point from first to last maps to itself + delta."""
    rows = []
    for c in range(sys.maxunicode + 1):
        if 0xD800 <= c <= 0xDFFF:
            continue
        delta = ord(mapping(chr(c))) - c
        if delta == 0:
            continue
        if rows:
            first, last, step, previous = rows[-1]
            gap = c - last
            if delta == previous and gap in (1, 2) and (first == last or gap == step):
                rows[-1] = (first, c, gap, delta)
                continue
        rows.append((c, c, 1, delta))
    return rows


print(f"""/*
 * LOWER(first, last, step, delta), UPPER(...): every step-th code point from first to last becomes
 * itself plus delta. Each in ascending order. Unicode {unicodedata.unidata_version}, written by
 * etc/unicode_case.py.
 */""")
for name, mapping in (("LOWER", lower), ("UPPER", upper)):
    print()
    for first, last, step, delta in runs(mapping):
        print(f"{name}(0x{first:04x}, 0x{last:04x}, {step}, {delta})")
