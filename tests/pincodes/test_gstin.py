import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipcrowd.pincodes.gstin import (
    GstinKind,
    InvalidGstin,
    InvalidIfsc,
    InvalidPan,
    check_character,
    read_gstin,
    read_ifsc,
    read_pan,
)

ALPHABET = string.digits + string.ascii_uppercase


def made(first_fourteen: str) -> str:
    return first_fourteen + check_character(first_fourteen)


def test_the_published_example_is_read_into_its_parts():
    gstin = read_gstin("27AAPFU0939F1ZV")
    assert (gstin.state, gstin.gst_state, gstin.pan, gstin.kind) == ("MH", "27", "AAPFU0939F", GstinKind.regular)


def test_case_and_spaces_do_not_matter():
    assert read_gstin(" 27 aapfu0939f 1zv ").number == "27AAPFU0939F1ZV"


@pytest.mark.parametrize(("number", "state"), [("38", "LA"), ("97", None), ("26", "DH"), ("25", "DH"), ("28", "AP")])
def test_every_state_number_is_accepted(number: str, state: str | None):
    assert read_gstin(made(f"{number}AAPFU0939F1Z")).state == state


@pytest.mark.parametrize(("letter", "kind"), [("C", "collects_at_source"), ("D", "deducts_at_source")])
def test_a_registration_for_tax_at_source_is_told_apart(letter: str, kind: str):
    assert read_gstin(made(f"29AAPFU0939F1{letter}")).kind.name == kind


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("", "15 characters"),
        ("27AAPFU0939F1Z", "15 characters"),
        ("27AAPFU0939F1XV", "15 characters"),
        ("27AAPFU0939F0ZV", "15 characters"),
        ("00AAPFU0939F1ZV", "not the number of any state"),
        ("39AAPFU0939F1ZV", "not the number of any state"),
        ("27AAPFU0939F1ZW", "mistyped"),
        ("27AAPFU0938F1ZV", "mistyped"),
    ],
)
def test_a_wrong_gstin_is_refused_with_the_reason(text: str, because: str):
    with pytest.raises(InvalidGstin, match=because):
        read_gstin(text)


@given(st.text(ALPHABET, min_size=14, max_size=14), st.integers(0, 13), st.sampled_from(ALPHABET))
def test_one_mistyped_digit_or_letter_changes_the_check_character_or_is_one_of_few(text: str, place: int, other: str):
    # Doubling in base 36 is one-to-one, so a single wrong character is always caught.
    changed = text[:place] + other + text[place + 1 :]
    assert (check_character(changed) == check_character(text)) == (changed == text)


def test_a_check_character_is_made_of_fourteen_only():
    with pytest.raises(ValueError, match="fourteen"):
        check_character("27AAPFU0939F1")


@pytest.mark.parametrize("pan", ["AAPFU0939F", "abcpk1234l", "AAACS 1234 A", "AABTR1234K"])
def test_a_pan_is_read_in_capitals(pan: str):
    assert read_pan(pan) == pan.replace(" ", "").upper()


@pytest.mark.parametrize("pan", ["", "AAPFU0939", "AAPXU0939F", "AAPFU09391", "1APFU0939F", "AAPFU0939FF"])
def test_a_wrong_pan_is_refused(pan: str):
    with pytest.raises(InvalidPan):
        read_pan(pan)


def test_an_ifsc_has_a_zero_in_fifth_place():
    assert read_ifsc("sbin0001234") == "SBIN0001234"
    for wrong in ("SBIN1001234", "SBI00001234", "SBIN000123", "SBIN00012345", ""):
        with pytest.raises(InvalidIfsc):
            read_ifsc(wrong)
