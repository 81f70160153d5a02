"""The fonts documents are set in: which characters they can show, and how wide each is.

The font files are not in the repository: `python tools/assets.py` puts them in `fonts/`. The fonts of the machine
are never used, so that a label looks the same wherever it is made.
"""

import struct
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import typst

FOLDER = Path(__file__).parent / "fonts"

SCRIPTS = ("", "Devanagari", "Bengali", "Tamil", "Telugu", "Kannada", "Malayalam", "Gujarati", "Gurmukhi", "Oriya")
"""In the order a character is looked for. The first has Latin, ₹, and Devanagari as well."""

FAMILIES = tuple(f"Noto Sans {script}".strip() for script in SCRIPTS)
WEIGHTS = ("Regular", "Bold")


class FontsMissing(RuntimeError):
    """The fonts are not in place."""


@lru_cache(maxsize=1)
def fonts() -> typst.Fonts:
    """Our fonts, opened once a process. Raises FontsMissing when the build step has not run."""
    missing = [file.name for weight in WEIGHTS for file in _files(weight) if not file.is_file()]
    if missing:
        raise FontsMissing(f"{', '.join(missing)} not found in {FOLDER.name}/: run `python tools/assets.py`")
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[FOLDER])


class Widths(dict[str, float]):
    """Character → width of its glyph in em; one em for a character that has none."""

    def __missing__(self, char: str) -> float:
        return 1.0


@lru_cache(maxsize=2)
def widths(bold: bool) -> Widths:
    """The width of every character our fonts can show. Raises FontsMissing.

    A sum of these is the width of unkerned Latin text; of Indic text, whose letters join, it is more than enough.
    """
    fonts()
    found = Widths()
    for file in _files(WEIGHTS[bold]):
        for code, width in _advances(file.read_bytes()):
            found.setdefault(chr(code), width)
    return found


def _files(weight: str) -> list[Path]:
    return [FOLDER / f"NotoSans{script}-{weight}.ttf" for script in SCRIPTS]


def _advances(font: bytes) -> Iterator[tuple[int, float]]:
    """(code point, advance in em) for the Basic Multilingual Plane (OpenType 1.9: head, hhea, hmtx, cmap)."""
    tables = {tag: offset for tag, _, offset, _ in struct.iter_unpack(">4sIII", font[12 : 12 + 16 * _u16(font, 4)])}
    em = _u16(font, tables[b"head"] + 18)
    metrics = _u16(font, tables[b"hhea"] + 34)  # glyphs past this many share the last one's advance
    for code, glyph in _glyphs(font, tables[b"cmap"]):
        yield code, _u16(font, tables[b"hmtx"] + 4 * min(glyph, metrics - 1)) / em


def _glyphs(font: bytes, cmap: int) -> Iterator[tuple[int, int]]:
    """(code point, glyph) from the Windows Unicode subtable, format 4."""
    for i in range(_u16(font, cmap + 2)):
        platform, encoding, offset = struct.unpack_from(">HHI", font, cmap + 4 + 8 * i)
        table = cmap + offset
        if (platform, encoding, _u16(font, table)) != (3, 1, 4):
            continue
        double = _u16(font, table + 6)  # twice the number of segments
        for k in range(0, double, 2):
            last = _u16(font, table + 14 + k)
            first = _u16(font, table + 16 + double + k)
            delta = _u16(font, table + 16 + 2 * double + k)
            place = table + 16 + 3 * double + k
            jump = _u16(font, place)
            for code in range(first, min(last, 0xFFFE) + 1):
                listed = _u16(font, place + jump + 2 * (code - first)) if jump else code
                glyph = (listed + delta) % 0x10000 if listed else 0
                if glyph:
                    yield code, glyph


def _u16(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "big")
