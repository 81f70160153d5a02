"""Money: whole paise, exact splits, Indian grouping, and no float anywhere near."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from shipcrowd.kernel.money import Money, Rounding

amounts = st.integers(min_value=-(10**15), max_value=10**15).map(Money)
weights = st.lists(st.integers(min_value=0, max_value=10**9), min_size=1, max_size=40).filter(any)


@given(amounts, weights)
def test_a_split_loses_no_paisa(amount, weights):
    parts = amount.split(weights)
    assert len(parts) == len(weights)
    assert Money.total(parts) == amount


@given(amounts, weights)
def test_every_part_is_its_exact_share_to_within_a_paisa(amount, weights):
    for part, weight in zip(amount.split(weights), weights, strict=True):
        assert abs(Decimal(part.paise) - Decimal(amount.paise) * weight / sum(weights)) < 1


@given(amounts, st.integers(min_value=1, max_value=50))
def test_an_even_split_differs_by_one_paisa_at_most_and_the_first_get_it(amount, people):
    parts = [part.paise for part in amount.split([1] * people)]
    assert max(parts) - min(parts) <= 1
    assert parts == sorted(parts, reverse=True)


@pytest.mark.parametrize("bad", [[], [0], [0, 0], [2, -1], [-1, -1]])
def test_there_must_be_a_positive_weight_to_split_by(bad):
    with pytest.raises(ValueError, match="weights"):
        Money(100).split(bad)


@pytest.mark.parametrize(
    ("paise", "shown"),
    [
        (0, "₹0.00"),
        (5, "₹0.05"),
        (99_999, "₹999.99"),
        (100_000, "₹1,000.00"),
        (1_00_000_00, "₹1,00,000.00"),
        (12_34_567_89, "₹12,34,567.89"),
        (1_00_00_000_00, "₹1,00,00,000.00"),
        (-12_34_56_789_01, "-₹12,34,56,789.01"),
    ],
)
def test_amounts_are_grouped_in_lakhs_and_crores(paise, shown):
    assert str(Money(paise)) == shown


@given(amounts)
def test_what_is_shown_and_what_is_sent_read_back_as_the_same_amount(amount):
    assert Money.rupees(str(amount).replace("₹", "")) == amount
    assert Money.rupees(amount.plain()) == amount


@pytest.mark.parametrize(
    ("text", "paise"),
    [
        ("1078.00", 107_800),
        ("1,07,800.5", 1_07_800_50),
        (" 12 ", 1_200),
        (7, 700),
        (Decimal("0.005"), 1),
        ("0.015", 2),
        ("-0.005", -1),
        ("1e3", 100_000),
    ],
)
def test_rupees_come_from_text(text, paise):
    assert Money.rupees(text) == Money(paise)


@pytest.mark.parametrize("bad", [1.5, True, "", "abc", "NaN", "Infinity", "-Infinity", "₹5", "1e999999999", None])
def test_what_is_no_amount_is_refused(bad):
    with pytest.raises((ValueError, TypeError)):
        Money.rupees(bad)


@pytest.mark.parametrize("bad", [1.0, Decimal(1), "1", True])
def test_paise_are_whole_numbers(bad):
    with pytest.raises(TypeError, match="whole paise"):
        Money(bad)


@pytest.mark.parametrize(
    ("paise", "points", "rounding", "expected"),
    [
        (10_000, 1_800, Rounding.half_up, 1_800),
        (105, 1_000, Rounding.half_up, 11),  # 10.5
        (105, 1_000, Rounding.down, 10),
        (101, 1_000, Rounding.up, 11),
        (-105, 1_000, Rounding.half_up, -11),
        (1, 5_000, Rounding.half_up, 1),
    ],
)
def test_a_share_is_rounded_as_named(paise, points, rounding, expected):
    assert Money(paise).share(points, rounding) == Money(expected)


class Bill(BaseModel):
    total: Money


def test_in_json_money_is_an_integer_of_paise_and_nothing_else():
    bill = Bill.model_validate_json('{"total": 4990}')
    assert bill.total == Money(4990)
    assert bill.model_dump_json() == '{"total":4990}'
    assert TypeAdapter(Money).json_schema() == {"type": "integer", "description": "paise"}


@pytest.mark.parametrize("bad", ["49.90", '"4990"', "true", "null", "4990.0", "1e2"])
def test_a_float_or_text_in_json_is_no_money(bad):
    with pytest.raises(ValidationError):
        Bill.model_validate_json(f'{{"total": {bad}}}')
