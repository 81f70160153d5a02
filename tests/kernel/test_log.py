"""Logs: what is secret or personal does not get there, at whatever depth it lies."""

import json

import pytest
import structlog

from shipcrowd.kernel import log


@pytest.mark.parametrize("key", sorted(log.HIDDEN))
def test_what_is_secret_or_personal_is_hidden_at_any_depth(key):
    event = {key: "visible", key.upper(): "visible", "order": {"deep": [{key.title(): "visible"}]}, "awb": "T1"}
    said = log.redact(None, "info", event)
    assert "visible" not in json.dumps(said)
    assert said["awb"] == "T1"


@pytest.mark.parametrize("nothing", ["", None, 0, []])
def test_that_there_was_nothing_may_be_told(nothing):
    assert log.redact(None, "info", {"phone": nothing}) == {"phone": nothing}


def test_the_callers_own_values_are_not_changed():
    order = {"phone": "9000000001", "lines": [{"name": "bottle"}]}
    log.redact(None, "info", {"order": order})
    assert order == {"phone": "9000000001", "lines": [{"name": "bottle"}]}


def test_a_line_of_production_is_json_with_a_time_and_no_secret(capsys):
    before = structlog.get_config()
    try:
        log.configure(level="INFO", json=True)
        structlog.get_logger("x").info("sent", password="hunter2", awb="T1")
        structlog.get_logger("x").debug("not at this level")
    finally:
        structlog.configure(**before)
    (line,) = capsys.readouterr().err.strip().splitlines()
    said = json.loads(line)
    assert said["event"] == "sent" and said["password"] == "[hidden]" and said["awb"] == "T1"
    assert said["level"] == "info" and said["timestamp"].endswith("Z")
