"""How text is made to fit its place: which size, where a word may break, where to cut. Pure sums over glyph widths.

The templates get text that fits already; that they also clip is the second net. Lengths are points.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from shipcrowd.documents.typefaces import widths
from shipcrowd.documents.wording import bound, head

PITCH = 1.28
"""Line to line, in em: room for Indic vowel signs above and below. `common.typ` sets the same."""

SLACK = 1.02  # kerning and rounding
WIDEST = 1.2  # em; about the widest letter there is

BREAK = "\u200b"  # shows nothing, takes no room, lets a line end there


class Run(NamedTuple):
    """A paragraph of one weight. `extra` points are added to the size it is tried at."""

    text: str
    bold: bool = False
    extra: float = 0.0


class Fitted(NamedTuple):
    size: float
    texts: list[str]  # one for each run


def fitted(runs: Sequence[Run], width: float, height: float, sizes: Sequence[float]) -> Fitted:
    """The runs as they fit in `width` × `height`, at the largest of `sizes` (largest first) that can hold them.

    A size at which no word need be broken is preferred. What does not fit at the smallest is cut, the longest run
    first, and ends in "…".
    """
    size = next(
        (size for whole in (True, False) for size in sizes if _holds(runs, width, height, size, whole)), sizes[-1]
    )
    cut_down = list(runs)
    while not _holds(cut_down, width, height, size, False):
        longest = max(range(len(cut_down)), key=lambda i: len(cut_down[i].text))
        text = cut_down[longest].text
        if len(text) < 4:
            break
        shorter = head(text, len(text) - 2 - len(text) // 20)
        cut_down[longest] = cut_down[longest]._replace(text=shorter + "…")
    return Fitted(size, [breakable(run.text, width / (size + run.extra), run.bold) for run in cut_down])


def width_em(text: str, bold: bool = False) -> float:
    """How wide `text` is, in em; enough, never too little."""
    return sum(map(widths(bold).__getitem__, text)) * SLACK


def cut(text: str, width: float, size: float, bold: bool = False) -> str:
    """`text`, or as much of it as fits on one line of `width` at `size`, ending in "…"."""
    room = width / size
    if width_em(text, bold) <= room:
        return text
    known = widths(bold)
    room = room / SLACK - known["…"]
    for i, char in enumerate(text):
        room -= known[char]
        if room < 0:
            return head(text, i) + "…"
    return text


def lines(text: str, room: float, bold: bool = False) -> int:
    """How many lines of `room` em the text takes, broken at spaces, and inside a word only where it must be."""
    if width_em(text, bold) <= room:
        return 1 if text else 0
    space = width_em(" ", bold)
    count, at = 1, 0.0
    for word in text.split(" "):
        gap = space if at else 0.0
        wide = width_em(word, bold)
        parts = [wide] if wide <= room else [width_em(part, bold) for part in _syllables(word)]
        for part in parts:
            if at and at + gap + part > room:
                count, at, gap = count + 1, 0.0, 0.0
            at += gap + part
            gap = 0.0
    return count


def breakable(text: str, room: float, bold: bool) -> str:
    """`text` with places to break inside the words that are wider than a line of `room` em."""
    if width_em(text, bold) <= room:
        return text
    return " ".join(word if width_em(word, bold) <= room else BREAK.join(_syllables(word)) for word in text.split(" "))


def _holds(runs: Sequence[Run], width: float, height: float, size: float, whole_words: bool) -> bool:
    left = height
    for text, bold, extra in runs:
        room = width / (size + extra)
        if whole_words and len(text) * WIDEST > room and max(width_em(word, bold) for word in text.split(" ")) > room:
            return False
        left -= lines(text, room, bold) * (size + extra) * PITCH
        if left < 0:
            return False
    return True


def _syllables(word: str) -> Iterator[str]:
    """The pieces of a word that may stand on different lines."""
    start = 0
    for i in range(1, len(word)):
        if not bound(word[i - 1], word[i]):
            yield word[start:i]
            start = i
    yield word[start:]
