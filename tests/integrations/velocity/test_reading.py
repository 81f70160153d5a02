"""Tolerant reading: every spelling of a date, and nothing guessed."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from shipcrowd.integrations.velocity import reading
from shipcrowd.kernel.money import Money

AT = datetime(2026, 11, 25, 7, 42, tzinfo=UTC)  # 13:12 in India


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-25 13:12:00",
        "2026-11-25T13:12:00",
        "2026-11-25 13:12",
        "2026-11-25T13:12:00+05:30",
        "2026-11-25T07:42:00Z",
        "2026-11-25T07:42:00.0000000Z",
        "25-11-2026 13:12:00",
        "25-11-2026 13:12",
        "25/11/2026 13:12",
        "25 Nov 2026, 01:12 PM",
        "25 Nov 2026 13:12",
        "Nov 25, 2026 01:12 PM",
        "Wed, 25 Nov 2026 13:12:00",
        1795592520,
        "1795592520000",
        {"date": "2026-11-25 13:12:00.000000", "timezone_type": 3, "timezone": "Asia/Kolkata"},
        {"date": "2026-11-25 07:42:00.000000", "timezone_type": 3, "timezone": "UTC"},
        {"date": "2026-11-25 13:12:00.000000", "timezone": "Nowhere/At all"},
        {"date": "2026-11-25 13:12:00.000000", "timezone": "../secret"},
    ],
)
def test_a_moment_is_read_in_every_spelling_and_is_indian_where_no_zone_is_named(written):
    assert reading.moment(written) == AT


@pytest.mark.parametrize(
    "written", [None, "", "soon", "0000-00-00 00:00:00", "2026-13-40", "99", True, [], {}, "0001-01-01", {"date": 5}]
)
def test_what_is_no_moment_is_none(written):
    assert reading.moment(written) is None


@pytest.mark.parametrize(
    ("value", "unit", "grams"),
    [
        ("1.2405", "kg", 1241),
        (Decimal("0.5"), "KG", 500),
        (740, "g", 740),
        ("740", "gms", 740),
        (740, "", None),
        (740, "lb", None),
        (0, "kg", None),
        ("-1", "kg", None),
        ("NaN", "kg", None),
        ("1e99", "kg", None),
        (None, "kg", None),
    ],
)
def test_a_weight_needs_a_unit_and_a_sensible_number(value, unit, grams):
    assert reading.grams(value, unit) == grams


@pytest.mark.parametrize(
    ("value", "amount"),
    [("61.40", Money(6140)), ("1,040", Money(104000)), (0, Money.zero), ("", None), ("x", None), ("1e300", None)],
)
def test_an_amount_is_exact_or_unknown(value, amount):
    assert reading.amount(value) == amount


@pytest.mark.parametrize(("value", "flag"), [(1, True), ("0", False), (True, True), ("yes", None), (None, None)])
def test_a_flag_is_true_false_or_unsaid(value, flag):
    assert reading.flag(value) is flag


def test_an_empty_php_object_is_an_empty_record():
    assert reading.record([]) == {}
    assert reading.records({"a": 1}) == [{"a": 1}]
    assert reading.records("x") == []
