import string

import pytest
import zxingcpp
from hypothesis import given
from hypothesis import strategies as st

from shipcrowd.documents import code128
from shipcrowd.documents.code128 import START_B, START_C, STOP, TO_B, TO_C, Unprintable


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("A", [START_B, 33]),
        ("12", [START_C, 12]),
        ("1", [START_B, 17]),
        ("123", [START_B, 17, TO_C, 23]),
        ("1234", [START_C, 12, 34]),
        ("12345", [START_B, 17, TO_C, 23, 45]),
        ("A12", [START_B, 33, 17, 18]),
        ("A1234", [START_B, 33, TO_C, 12, 34]),
        ("1234A", [START_C, 12, 34, TO_B, 33]),
        ("A1234B", [START_B, 33, 17, 18, 19, 20, 34]),
        ("A123456B", [START_B, 33, TO_C, 12, 34, 56, TO_B, 34]),
        ("14325551234567", [START_C, 14, 32, 55, 51, 23, 45, 67]),
        (" ~", [START_B, 0, 94]),
    ],
)
def test_digits_go_two_by_two_where_that_is_shorter(text: str, data: list[int]):
    *found, check, stop = code128.symbols(text)
    assert len(found) == len(data)
    assert stop == STOP
    assert check == (found[0] + sum(i * value for i, value in enumerate(found[1:], 1))) % 103
    # Where two ways are equally short either is right; the start and the length say which was found.
    if found != data:
        assert sorted(map(_spelled, (found, data))) == [text, text]


def _spelled(values: list[int]) -> str:
    digits = values[0] == START_C
    said = ""
    for value in values[1:]:
        if value == TO_B and digits:
            digits = False
        elif value == TO_C and not digits:
            digits = True
        else:
            said += f"{value:02d}" if digits else chr(value + 32)
    return said


@given(st.text(alphabet=[chr(c) for c in range(32, 127)], min_size=1, max_size=40))
def test_the_symbols_spell_the_text(text: str):
    assert _spelled(code128.symbols(text)[:-2]) == text


@given(st.text(alphabet="AB0123456789", min_size=1, max_size=9))
def test_no_shorter_way_of_writing_it_exists(text: str):
    def shortest(at: int, digits: bool) -> int:
        if at == len(text):
            return 0
        ways = []
        for in_digits in (True, False):
            change = in_digits != digits
            if in_digits and text[at : at + 2].isdigit() and at + 2 <= len(text):
                ways.append(change + 1 + shortest(at + 2, True))
            if not in_digits:
                ways.append(change + 1 + shortest(at + 1, False))
        return min(ways)

    assert len(code128.symbols(text)) - 3 == min(shortest(0, True), shortest(0, False))


def test_every_pattern_is_its_own_and_eleven_modules_wide():
    assert len(code128.PATTERNS) == 107
    assert len(set(code128.PATTERNS)) == 107
    for pattern in code128.PATTERNS[:STOP]:
        widths = [int(width) for width in pattern]
        assert (len(widths), sum(widths), sum(widths[::2]) % 2) == (6, 11, 0)
    assert sum(map(int, code128.PATTERNS[STOP])) == 13


@pytest.mark.parametrize(
    "text", [string.ascii_letters, string.digits, string.punctuation, "14325551234567", "SF123456789IN", "a1", "0000"]
)
def test_a_scanner_reads_what_was_written(text: str):
    row = b"\xff" * 30
    for i, width in enumerate(code128.widths(text)):
        row += (b"\x00" if i % 2 == 0 else b"\xff") * width * 3
    row += b"\xff" * 30
    picture = memoryview(row * 40).cast("B", (40, len(row)))
    (found,) = zxingcpp.read_barcodes(picture)
    assert found.text == text
    assert found.format == zxingcpp.BarcodeFormat.Code128


@pytest.mark.parametrize("text", ["", "अ123", "AWB\n1", "AWB\x00", "é", "१२३४"])
def test_what_a_barcode_cannot_carry_is_refused(text: str):
    with pytest.raises(Unprintable):
        code128.symbols(text)


@pytest.mark.parametrize(
    ("modules", "available", "expected"),
    [(112, 100, 0.5), (180, 100, 0.5), (181, 100, 0.375), (246, 100, 0.375), (247, 100, 0.25), (380, 100, 0.25)],
)
def test_a_module_is_as_wide_as_fits_in_whole_printer_dots(modules: int, available: float, expected: float):
    assert code128.module_mm(modules, available) == expected


def test_a_barcode_too_long_to_scan_is_refused():
    with pytest.raises(Unprintable, match="too long"):
        code128.module_mm(381, 100)
