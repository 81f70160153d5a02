from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipcrowd.documents import wording
from shipcrowd.documents.fitting import BREAK, PITCH, Run, cut, fitted, lines, width_em
from shipcrowd.documents.typefaces import widths


@pytest.mark.parametrize(
    ("typed", "printed"),
    [
        ("  Ananya \n\t Krishnan ", "Ananya Krishnan"),
        ("Asha ❤️🙏🏽 Rao", "Asha Rao"),
        ("नमस्ते 🎉", "नमस्ते"),
        ("क्‍ष", "क्‍ष"),  # a joiner between two letters stays
        ("evil‮txt", "eviltxt"),  # a direction override does not
        ("zero​width﻿", "zerowidth"),
        ("सुमन 漢字", "सुमन \ufffd\ufffd"),
        ("a\x00b\x1bc", "abc"),
        ("", ""),
    ],
)
def test_text_is_made_printable(typed: str, printed: str):
    assert wording.printable(typed, 60) == printed


def test_long_text_is_cut_and_says_so():
    assert wording.printable("x" * 50, 10) == "x" * 9 + "…"
    assert wording.printable("x" * 10, 10) == "x" * 10


def test_a_cut_never_halves_an_indic_syllable():
    assert wording.head("नक्षत्र", 2) == "न"  # क् + ष belong together
    assert wording.head("नक्षत्र", 4) == "नक्ष"


@given(st.text(max_size=300), st.integers(2, 60))
def test_whatever_is_typed_only_known_letters_come_out(text: str, longest: int):
    printed = wording.printable(text, longest)
    assert len(printed) <= longest
    assert "\n" not in printed
    assert all(char in widths(False) or char in wording.JOINERS for char in printed)


@pytest.mark.parametrize(
    ("grams", "said"), [(1, "1 g"), (999, "999 g"), (1000, "1 kg"), (1250, "1.25 kg"), (10_005, "10.005 kg")]
)
def test_weights_are_said_in_the_handier_unit(grams: int, said: str):
    assert wording.weight(grams) == said


def test_dates_and_sizes_are_said_plainly():
    assert wording.day(date(2026, 11, 5)) == "05 Nov 2026"
    assert wording.dimensions(300, 200, 155) == "30 × 20 × 15.5 cm"


def test_a_line_is_cut_to_its_room():
    assert cut("Banarasi silk saree", 1000, 7) == "Banarasi silk saree"
    short = cut("Banarasi silk saree, red with gold border", 60, 7)
    assert short.endswith("…")
    assert width_em(short) * 7 <= 60


def test_the_largest_size_that_holds_the_text_is_taken():
    assert fitted([Run("Ananya")], 200, 20, (12, 10, 8)).size == 12
    assert fitted([Run("Ananya " * 12)], 200, 40, (12, 10, 8)).size < 12


def test_a_smaller_size_is_taken_before_a_word_is_broken():
    size, (town,) = fitted([Run("Thiruvananthapuram")], 84, 60, (10, 9, 8, 7, 6))
    assert size < 10
    assert BREAK not in town


@given(
    st.lists(st.text(alphabet="WiM अक्षम மி ್ക്ഷ", max_size=500), min_size=1, max_size=4),
    st.integers(40, 300),
    st.integers(20, 120),
)
def test_what_is_fitted_fits(texts: list[str], width: int, height: int):
    runs = [Run(wording.printable(text, 420)) for text in texts]
    size, kept = fitted(runs, width, height, (12, 9, 6, 4.5))
    tall = sum(lines(text.replace(BREAK, ""), width / size) * size * PITCH for text in kept)
    # Three letters of each paragraph are always left, so that nothing vanishes without a trace.
    assert tall <= height or all(len(text.replace(BREAK, "")) <= 4 for text in kept)
