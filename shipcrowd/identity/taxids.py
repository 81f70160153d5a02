"""GSTIN and PAN: what a valid one looks like. Pure.

Sources: Rule 10 of the CGST Rules 2017 (a GSTIN is state code, PAN, entity number, `Z`, check character; the check
character is the GSTN's mod-36 sum over the first fourteen); Income-tax Rules, rule 114 (PAN).
"""

import re

PAN = re.compile(r"[A-Z]{5}[0-9]{4}[A-Z]")
GSTIN = re.compile(r"[0-9]{2}[A-Z]{5}[0-9]{4}[A-Z][1-9A-Z]Z[0-9A-Z]")

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def check_character(first_fourteen: str) -> str:
    """The fifteenth character of the GSTIN that begins with these fourteen."""
    total = 0
    for place, character in enumerate(first_fourteen):
        product = _DIGITS.index(character) * (1 + place % 2)
        total += product // 36 + product % 36
    return _DIGITS[-total % 36]


def is_pan(text: str) -> bool:
    return PAN.fullmatch(text) is not None


def is_gstin(text: str) -> bool:
    return GSTIN.fullmatch(text) is not None and check_character(text[:14]) == text[14]


def pan_of(gstin: str) -> str:
    """The PAN inside a valid GSTIN."""
    return gstin[2:12]
