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

BREAK = "\u200b"  # shows nothing, takes no room, lets a line end there


class Run(NamedTuple):
    """A paragraph of one weight. `extra` points are added to the size it is tried at."""

    text: str
    bold: bool = False
    extra: float = 0.0


class Fitted(NamedTuple):
    size: float
    texts: list[str]  # one for each run


class _Measured(NamedTuple):
    """A run with its widths in em, so that trying a size is mere arithmetic."""

    run: Run
    whole: float
    words: list[float]

    @classmethod
    def of(cls, run: Run) -> "_Measured":
        return cls(run, width_em(run.text, run.bold), [width_em(word, run.bold) for word in run.text.split(" ")])


def fitted(runs: Sequence[Run], width: float, height: float, sizes: Sequence[float]) -> Fitted:
    """The runs as they fit in `width` × `height`, at the largest of `sizes` (largest first) that can hold them.

    A size at which no word need be broken is preferred. What does not fit at the smallest is cut, the longest run
    first, and ends in "…".
    """
    measured = [_Measured.of(run) for run in runs]
    size = next(
        (size for whole in (True, False) for size in sizes if _holds(measured, width, height, size, whole)), sizes[-1]
    )
    while not _holds(measured, width, height, size, False):
        longest = max(range(len(measured)), key=lambda i: len(measured[i].run.text))
        run = measured[longest].run
        if len(run.text) < 4:
            break
        shorter = head(run.text, len(run.text) - 2 - len(run.text) // 20) + "…"
        measured[longest] = _Measured.of(run._replace(text=shorter))
    return Fitted(size, [_breakable(one, width / (size + one.run.extra)) for one in measured])


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
    return _lines(_Measured.of(Run(text, bold)), room)


def breakable(text: str, room: float, bold: bool = False) -> str:
    """`text` with places to break inside the words that are wider than a line of `room` em."""
    return _breakable(_Measured.of(Run(text, bold)), room)


def _holds(measured: Sequence[_Measured], width: float, height: float, size: float, whole_words: bool) -> bool:
    left = height
    for one in measured:
        own = size + one.run.extra
        if whole_words and max(one.words) * own > width:
            return False
        left -= _lines(one, width / own) * own * PITCH
        if left < 0:
            return False
    return True


def _lines(one: _Measured, room: float) -> int:
    if one.whole <= room:
        return 1 if one.run.text else 0
    space = width_em(" ", one.run.bold)
    count, at = 1, 0.0
    for i, wide in enumerate(one.words):
        gap = space if at else 0.0
        for part in (wide,) if wide <= room else _parts(one, i):
            if at and at + gap + part > room:
                count, at, gap = count + 1, 0.0, 0.0
            at += gap + part
            gap = 0.0
    return count


def _parts(one: _Measured, word: int) -> list[float]:
    return [width_em(part, one.run.bold) for part in _syllables(one.run.text.split(" ")[word])]


def _breakable(one: _Measured, room: float) -> str:
    if max(one.words) <= room:
        return one.run.text
    words = zip(one.run.text.split(" "), one.words, strict=True)
    return " ".join(word if wide <= room else BREAK.join(_syllables(word)) for word, wide in words)


def _syllables(word: str) -> Iterator[str]:
    """The pieces of a word that may stand on different lines."""
    start = 0
    for i in range(1, len(word)):
        if not bound(word[i - 1], word[i]):
            yield word[start:i]
            start = i
    yield word[start:]
