"""How a store fares, as a table."""

from datetime import timedelta

import pytest

from shipcrowd.channels.health import Facts, Level, in_words, verdict, worst
from shipcrowd.connections.models import Status

WELL = {
    "status": Status.connected,
    "reason": "",
    "lag": timedelta(minutes=5),
    "waited": timedelta(days=9),
    "every": timedelta(minutes=15),
}


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({}, Level.ok, "Up to date."),
        ({"lag": None, "waited": timedelta(minutes=1)}, Level.ok, "being read for the first time"),
        ({"lag": None, "waited": timedelta(hours=5)}, Level.broken, "for 5 hours"),
        ({"lag": timedelta(minutes=59)}, Level.ok, "Up to date."),
        ({"lag": timedelta(minutes=61)}, Level.broken, "No orders could be read for 1 hour."),
        ({"lag": timedelta(minutes=61), "every": timedelta(hours=1)}, Level.ok, "Up to date."),
        (
            {"lag": timedelta(days=2), "errors_in_a_row": 3, "last_error": "503"},
            Level.broken,
            "for 2 days. Last error: 503",
        ),
        ({"errors_in_a_row": 1, "last_error": "503"}, Level.attention, "1 error in a row. Last error: 503"),
        ({"errors_in_a_row": 0, "last_error": "an old one"}, Level.ok, "Up to date."),
        ({"missing_scopes": ["read_orders"]}, Level.attention, "did not grant read_orders"),
        ({"open_failures": 2}, Level.attention, "2 orders could not be taken in"),
        ({"refused_announcements": 1}, Level.attention, "did not take the news of 1 parcel."),
        ({"status": Status.paused, "reason": "Paused by the seller"}, Level.attention, "Paused by the seller"),
        ({"status": Status.disconnected, "reason": "revoked"}, Level.broken, "Not connected: revoked"),
        ({"status": Status.left, "lag": timedelta(days=9)}, Level.broken, "removed at the store"),
    ],
)
def test_the_worst_that_is_true_comes_first(changes, level, words):
    found, said = verdict(Facts(**{**WELL, **changes}))
    assert found is level
    assert words in said


def test_levels_are_ordered():
    assert worst([Level.ok, Level.broken, Level.attention]) is Level.broken
    assert worst([]) is Level.ok


@pytest.mark.parametrize(
    ("lag", "words"),
    [
        (timedelta(seconds=40), "less than a minute"),
        (timedelta(minutes=1), "1 minute"),
        (timedelta(hours=23, minutes=59), "23 hours"),
        (timedelta(days=3), "3 days"),
    ],
)
def test_lags_in_words(lag, words):
    assert in_words(lag) == words
