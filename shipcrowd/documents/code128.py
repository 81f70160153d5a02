"""Code 128 barcodes: text in, bar widths out. Pure; drawing is the template's business.

Only code sets B and C are used (printable ASCII, and digits two by two), chosen so that the symbol is as short
as it can be. After ISO/IEC 15417.
"""

from functools import lru_cache

from shipcrowd.kernel.errors import Invalid

QUIET_MODULES = 10
"""White modules a scanner needs on each side."""

MIN_MODULE_MM = 0.25
MAX_MODULE_MM = 0.5
DOT_MM = 0.125
"""One dot of a 203 dpi thermal printer. Modules are whole dots, so that no bar is smeared over half a dot."""

TO_C, TO_B, START_B, START_C, STOP = 99, 100, 104, 105, 106

# Bar and space widths of symbol values 0..106, bar first.
_WIDTHS = """
212222 222122 222221 121223 121322 131222 122213 122312 132212 221213 221312 231212 112232 122132 122231 113222
123122 123221 223211 221132 221231 213212 223112 312131 311222 321122 321221 312212 322112 322211 212123 212321
232121 111323 131123 131321 112313 132113 132311 211313 231113 231311 112133 112331 132131 113123 113321 133121
313121 211331 231131 213113 213311 213131 311123 311321 331121 312113 312311 332111 314111 221411 431111 111224
111422 121124 121421 141122 141221 112214 112412 122114 122411 142112 142211 241211 221114 413111 241112 134111
111242 121142 121241 114212 124112 124211 411212 421112 421211 212141 214121 412121 111143 111341 131141 114113
114311 411113 411311 113141 114131 311141 411131 211412 211214 211232 2331112
"""
PATTERNS = tuple(_WIDTHS.split())


class Unprintable(Invalid):
    """This text cannot be printed as a barcode."""


def symbols(text: str) -> list[int]:
    """The symbol values for `text`: start, data, check, stop. The fewest there can be with sets B and C.

    Raises Unprintable for an empty text or one with anything but printable ASCII.
    """
    if not text:
        raise Unprintable("a barcode needs some text")
    if not all(" " <= char <= "~" for char in text):
        raise Unprintable(f"{text!r} has characters a Code 128 barcode cannot carry; use plain letters and digits")
    values = _shortest(text)
    check = (values[0] + sum(place * value for place, value in enumerate(values[1:], start=1))) % 103
    return [*values, check, STOP]


@lru_cache(maxsize=4096)  # a label asks twice: may it be printed, and then to print it
def widths(text: str) -> tuple[int, ...]:
    """`text` as widths in modules, a bar first and last, spaces between. Quiet zones are not counted.

    Raises Unprintable as `symbols` does.
    """
    return tuple(int(width) for value in symbols(text) for width in PATTERNS[value])


def module_mm(modules: int, available_mm: float) -> float:
    """The widest module, in whole printer dots, at which the symbol and its quiet zones fit in `available_mm`.

    Raises Unprintable when that would be narrower than scanners read.
    """
    dots = int(available_mm / ((modules + 2 * QUIET_MODULES) * DOT_MM))
    width = min(dots * DOT_MM, MAX_MODULE_MM)
    if width < MIN_MODULE_MM:
        raise Unprintable(f"a barcode of {modules} modules does not fit in {available_mm:g} mm; the text is too long")
    return width


def _shortest(text: str) -> list[int]:
    """Start symbol and data symbols, by dynamic programming from the end: for each place and code set, the
    fewest symbols that finish the text from there. On equal length the set we are in is kept."""
    length = len(text)
    pair = [text[i : i + 2].isdigit() and i + 1 < length for i in range(length)]
    in_b, in_c = [0] * (length + 1), [0] * (length + 1)
    for i in reversed(range(length)):
        stay_b = in_b[i + 1] + 1
        stay_c = in_c[i + 2] + 1 if pair[i] else length * 3
        in_b[i] = min(stay_b, stay_c + 1)
        in_c[i] = min(stay_c, stay_b + 1)
    digits = in_c[0] < in_b[0]
    values = [START_C if digits else START_B]
    i = 0
    while i < length:
        stay_b = in_b[i + 1] + 1
        stay_c = in_c[i + 2] + 1 if pair[i] else length * 3
        if digits and stay_b + 1 < stay_c:
            values.append(TO_B)
            digits = False
        elif not digits and stay_c + 1 < stay_b:
            values.append(TO_C)
            digits = True
        if digits:
            values.append(int(text[i : i + 2]))
            i += 2
        else:
            values.append(ord(text[i]) - 32)
            i += 1
    return values
