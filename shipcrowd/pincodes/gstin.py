"""Reading India's tax and bank identifiers: GSTIN, PAN, IFSC. Form and check character only: whether one is
registered to whom it should be is asked of an authority, elsewhere.

The state table is our own because published validators still refuse Ladakh (38) and Other Territory (97).
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from shipcrowd.kernel.errors import Invalid
from shipcrowd.pincodes.states import BY_GST

_GSTIN = re.compile(r"\d{2}[A-Z]{5}\d{4}[A-Z][1-9A-Z][ZCD][0-9A-Z]")
_PAN = re.compile(r"[A-Z]{3}[ABCFGHJLPT][A-Z]\d{4}[A-Z]")
_IFSC = re.compile(r"[A-Z]{4}0[A-Z0-9]{6}")
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class InvalidGstin(Invalid):
    """This is not a valid GSTIN."""


class InvalidPan(Invalid):
    """This is not a valid PAN."""


class InvalidIfsc(Invalid):
    """This is not a valid IFSC."""


class GstinKind(StrEnum):
    regular = "Z"
    collects_at_source = "C"  # a marketplace's TCS registration
    deducts_at_source = "D"  # a TDS registration


@dataclass(frozen=True)
class Gstin:
    """A well-formed GSTIN, in capitals. `state` is None for Other Territory (97)."""

    number: str
    gst_state: str
    state: str | None
    pan: str
    kind: GstinKind


def check_character(first_fourteen: str) -> str:
    """The fifteenth character of a GSTIN. Raises ValueError for anything but fourteen digits and capitals."""
    if len(first_fourteen) != 14 or not set(first_fourteen) <= set(_ALPHABET):
        raise ValueError("a GSTIN's check character is made from fourteen digits and capital letters")
    total = 0
    for position, character in enumerate(first_fourteen):
        product = _ALPHABET.index(character) * (1 if position % 2 == 0 else 2)
        total += product // 36 + product % 36
    return _ALPHABET[(36 - total % 36) % 36]


def read_gstin(text: str) -> Gstin:
    """`"27AAPFU0939F1ZV"` → its parts; spaces and case do not matter. Raises InvalidGstin with what is wrong."""
    number = _squeezed(text)
    if not _GSTIN.fullmatch(number):
        raise InvalidGstin("a GSTIN has 15 characters, such as 27AAPFU0939F1ZV", field="gstin")
    if number[:2] not in BY_GST:
        raise InvalidGstin(f"{number[:2]} is not the number of any state", field="gstin")
    if check_character(number[:14]) != number[14]:
        raise InvalidGstin("the last character does not fit the others; one of them is mistyped", field="gstin")
    return Gstin(
        number=number,
        gst_state=number[:2],
        state=BY_GST[number[:2]],
        pan=number[2:12],
        kind=GstinKind(number[13]),
    )


def read_pan(text: str) -> str:
    """The PAN in capitals. Its fourth letter tells whose it is: P person, C company, F firm, H family, T trust…
    Raises InvalidPan."""
    number = _squeezed(text)
    if not _PAN.fullmatch(number):
        raise InvalidPan("a PAN has 10 characters, such as AAPFU0939F", field="pan")
    return number


def read_ifsc(text: str) -> str:
    """The IFSC in capitals: four letters of the bank, a zero, six of the branch. Raises InvalidIfsc."""
    code = _squeezed(text)
    if not _IFSC.fullmatch(code):
        raise InvalidIfsc("an IFSC has 11 characters with a zero in fifth place, such as SBIN0001234", field="ifsc")
    return code


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text).upper()
