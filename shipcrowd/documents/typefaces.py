"""The fonts documents are set in, and which characters they can show.

The font files are not in the repository: `python tools/assets.py` puts them in `fonts/`. The fonts of the machine
are never used, so that a label looks the same wherever it is made.
"""

import struct
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import typst

FOLDER = Path(__file__).parent / "fonts"

FAMILIES = (
    "Noto Sans",
    "Noto Sans Devanagari",
    "Noto Sans Bengali",
    "Noto Sans Tamil",
    "Noto Sans Telugu",
    "Noto Sans Kannada",
    "Noto Sans Malayalam",
    "Noto Sans Gujarati",
    "Noto Sans Gurmukhi",
    "Noto Sans Oriya",
)


class FontsMissing(RuntimeError):
    """The fonts are not in place."""


@lru_cache(maxsize=1)
def fonts() -> typst.Fonts:
    """Our fonts, opened once a process. Raises FontsMissing when the build step has not run."""
    found = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[FOLDER])
    missing = [family for family in FAMILIES if family not in found.families()]
    if missing:
        raise FontsMissing(f"{', '.join(missing)} not found in {FOLDER.name}/: run `python tools/assets.py`")
    return found


@lru_cache(maxsize=1)
def shown() -> frozenset[int]:
    """The code points at least one of our fonts has a glyph for. Raises FontsMissing."""
    fonts()
    return frozenset(code for file in sorted(FOLDER.glob("*-Regular.ttf")) for code in _mapped(file.read_bytes()))


def _mapped(font: bytes) -> Iterator[int]:
    """The code points of a TrueType font's Basic Multilingual Plane table ('cmap' format 4, OpenType 1.9)."""
    for i in range(_u16(font, 4)):
        tag, _, offset, _ = struct.unpack_from(">4sIII", font, 12 + 16 * i)
        if tag == b"cmap":
            for j in range(_u16(font, offset + 2)):
                platform, encoding, start = struct.unpack_from(">HHI", font, offset + 4 + 8 * j)
                if (platform, encoding) == (3, 1) and _u16(font, offset + start) == 4:
                    yield from _segments(font, offset + start)


def _segments(font: bytes, table: int) -> Iterator[int]:
    double = _u16(font, table + 6)  # twice the number of segments
    for k in range(0, double, 2):
        last = _u16(font, table + 14 + k)
        first = _u16(font, table + 16 + double + k)
        delta = _u16(font, table + 16 + 2 * double + k)
        place = table + 16 + 3 * double + k
        jump = _u16(font, place)
        for code in range(first, min(last, 0xFFFE) + 1):
            glyph = code if jump == 0 else _u16(font, place + jump + 2 * (code - first))
            if (glyph + delta) % 0x10000 if jump == 0 or glyph else 0:
                yield code


def _u16(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "big")
