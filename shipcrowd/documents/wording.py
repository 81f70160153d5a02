"""Text from the outside made fit to print: one line, nothing a font cannot show. Pure."""

import unicodedata
from datetime import date

from shipcrowd.documents.typefaces import widths

UNKNOWN = "\ufffd"
"""Stands for a letter none of our fonts has, so that a person sees that something is missing."""

JOINERS = "\u200c\u200d"
"""Indic scripts need these two; every other invisible control is dropped."""

DECORATION = frozenset({"So", "Sk", "Cs", "Co", "Cn", "Mn", "Me"})
"""Unicode categories of what an address loses nothing without: emoji, pictographs, their selectors and tones."""

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
VIRAMA = 9  # the combining class of the sign that binds two consonants


def printable(text: str, longest: int) -> str:
    """`text` on one line, at most `longest` characters, cut with "…"; emoji dropped, unknown letters as "\ufffd"."""
    text = text[: longest * 4]  # a megabyte in a name must not cost a megabyte of work
    if not (text.isascii() and text.isprintable()):
        text = "".join(_shown(char) for char in unicodedata.normalize("NFC", text))
    kept = " ".join(text.split())
    return kept if len(kept) <= longest else head(kept, longest - 1) + "…"


def head(text: str, length: int) -> str:
    """The first `length` characters, less what would be half a syllable."""
    while 0 < length < len(text) and bound(text[length - 1], text[length]):
        length -= 1
    return text[:length].rstrip()


def day(on: date) -> str:
    """`05 Nov 2026`."""
    return f"{on.day:02d} {MONTHS[on.month - 1]} {on.year}"


def weight(grams: int) -> str:
    """`850 g`, `1.25 kg`."""
    if grams < 1000:
        return f"{grams} g"
    whole, rest = divmod(grams, 1000)
    return f"{whole}.{rest:03d}".rstrip("0").rstrip(".") + " kg"


def dimensions(length_mm: int, breadth_mm: int, height_mm: int) -> str:
    """`30 × 20 × 15.5 cm`."""
    return " × ".join(f"{side / 10:g}" for side in (length_mm, breadth_mm, height_mm)) + " cm"


def _shown(char: str) -> str:
    if char in JOINERS:
        return char
    if char.isspace():
        return " "
    kind = unicodedata.category(char)
    if kind in ("Cc", "Cf"):
        return ""
    if char in widths(False):
        return char
    return "" if kind in DECORATION else UNKNOWN


def bound(before: str, char: str) -> bool:
    """Whether `char` belongs to the same syllable as the one before it."""
    return (
        unicodedata.category(char)[0] == "M"
        or char in JOINERS
        or before in JOINERS
        or unicodedata.combining(before) == VIRAMA
    )
