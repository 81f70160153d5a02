import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipcrowd.identity import taxids

FIRST_FOURTEEN = st.from_regex(r"(0[1-9]|[12][0-9]|3[0-8])[A-Z]{5}[0-9]{4}[A-Z][1-9A-Z]Z", fullmatch=True)


@pytest.mark.parametrize("gstin", ["27AAPFU0939F1ZV", "29AAGCB7383J1Z4"])
def test_the_check_character_of_well_known_gstins_is_right(gstin: str) -> None:
    assert taxids.is_gstin(gstin)


@pytest.mark.parametrize(
    "text", ["", "27AAPFU0939F1ZX", "27AAPFU0939F1Z", "27AAPFU0939F1ZVV", "27aapfu0939f1zv", "2७AAPFU0939F1ZV"]
)
def test_anything_else_is_no_gstin(text: str) -> None:
    assert not taxids.is_gstin(text)


@given(FIRST_FOURTEEN, st.integers(0, 13))
def test_one_wrong_character_never_passes(first: str, place: int) -> None:
    gstin = first + taxids.check_character(first)
    assert taxids.is_gstin(gstin)
    assert taxids.is_pan(taxids.pan_of(gstin))
    other = "B" if gstin[place] == "A" else "A" if gstin[place].isalpha() else str((int(gstin[place]) + 1) % 10)
    assert not taxids.is_gstin(gstin[:place] + other + gstin[place + 1 :])


@pytest.mark.parametrize(("text", "valid"), [("AAPFU0939F", True), ("AAPFU0939", False), ("AAPF10939F", False)])
def test_a_pan_is_five_letters_four_digits_and_a_letter(text: str, *, valid: bool) -> None:
    assert taxids.is_pan(text) is valid
