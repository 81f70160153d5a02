"""Velocity's webhooks: signed, fresh, in both shapes."""

import json
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from shipcrowd.couriers.contract import Flow, Progress
from shipcrowd.integrations.velocity import webhooks
from shipcrowd.kernel.errors import Unauthenticated
from shipcrowd.kernel.outbound import Malformed

NOW = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)
SECRET = "agreed-with-support"
hooks = webhooks.VelocityWebhooks()


def raw(body):
    return json.dumps(body, default=float).encode()


@pytest.mark.parametrize("minutes", [-4.9, 0, 4.9])
def test_a_signed_and_fresh_delivery_is_let_in(minutes):
    body = raw({"awb": "A1"})
    headers = webhooks.sign(SECRET, "SHIPMENT_CREATED", body, NOW)
    hooks.verify(SECRET, headers, body, NOW + timedelta(minutes=minutes))


@pytest.mark.parametrize("written", ["2026-11-25T08:00:00Z", "2026-11-25 13:30:00", "1795593600000"])
def test_the_timestamp_is_read_in_any_spelling(written):
    headers = webhooks.sign(SECRET, "X", b"{}", NOW) | {"x-velocity-timestamp": written}
    hooks.verify(SECRET, headers, b"{}", NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"x-velocity-signature": "0" * 64},
        {"x-velocity-signature": ""},
        {"x-velocity-signature": "ünsigned"},
        {"x-velocity-timestamp": ""},
        {"x-velocity-timestamp": "yesterday"},
    ],
)
def test_a_forged_or_undated_delivery_is_refused(change):
    body = raw({"awb": "A1"})
    with pytest.raises(Unauthenticated):
        hooks.verify(SECRET, webhooks.sign(SECRET, "X", body, NOW) | change, body, NOW)


def test_a_missing_signature_or_a_blank_secret_never_passes():
    with pytest.raises(Unauthenticated):
        hooks.verify(SECRET, {}, b"{}", NOW)
    with pytest.raises(Unauthenticated):
        hooks.verify("", webhooks.sign("", "X", b"{}", NOW), b"{}", NOW)


def test_another_bodys_signature_is_refused():
    headers = webhooks.sign(SECRET, "X", raw({"awb": "A1"}), NOW)
    with pytest.raises(Unauthenticated):
        hooks.verify(SECRET, headers, raw({"awb": "A2"}), NOW)


@pytest.mark.parametrize("minutes", [-5.1, 5.1, 60])
def test_a_stale_delivery_is_refused(minutes):
    headers = webhooks.sign(SECRET, "X", b"{}", NOW)
    with pytest.raises(Unauthenticated):
        hooks.verify(SECRET, headers, b"{}", NOW + timedelta(minutes=minutes))


def test_the_delivery_id_is_the_webhook_id_or_the_bodys_hash():
    assert hooks.delivery_id({}, raw({"webhook_id": "whk_1", "awb": "A"})) == "whk_1"
    flat = raw({"awb": "A", "status": "OFD"})
    assert hooks.delivery_id({"x-velocity-timestamp": "1"}, flat) == hooks.delivery_id({}, flat)
    assert hooks.delivery_id({}, flat) != hooks.delivery_id({}, raw({"awb": "A", "status": "DEL"}))
    assert len(hooks.delivery_id({}, b"not json")) == 64


def test_the_topic_is_the_signed_bodys_then_the_headers_then_a_status_update():
    header = {"x-velocity-event-type": "shipment_created"}
    assert hooks.topic(header, raw({"event_type": "SHIPMENT_CANCELLED"})) == "SHIPMENT_CANCELLED"
    assert hooks.topic(header, raw({})) == "SHIPMENT_CREATED"
    assert hooks.topic({}, b"not json") == "SHIPMENT_STATUS_UPDATE"


def test_the_flat_shape_is_read(payload):
    (event,) = hooks.read("SHIPMENT_STATUS_UPDATE", raw(payload("webhook_flat_out_for_delivery")))
    (scan,) = event.scans
    assert event.awb == "14325600917744"
    assert (scan.progress, scan.remark) == (Progress.out_for_delivery, "With the rider")
    assert scan.at == datetime(2026, 11, 25, 4, 10, tzinfo=UTC)


def test_the_typed_shape_is_read_with_its_proof_of_delivery(payload):
    (event,) = hooks.read("SHIPMENT_STATUS_UPDATE", raw(payload("webhook_typed_delivered")))
    (scan,) = event.scans
    assert (scan.progress, scan.location, scan.remark) == (
        Progress.delivered,
        "Pune Karve Road",
        "Handed to the watchman",
    )
    assert scan.at == datetime(2026, 11, 25, 7, 42, tzinfo=UTC)
    assert event.reference == "01939d2e-7c1a-7000-8000-00000000a001"
    assert event.pod is not None
    assert (event.pod.receiver, event.pod.signature_url) == ("Watchman", None)


def test_a_scanned_weight_is_read_in_grams_and_moves_nothing(payload):
    (event,) = hooks.read("SHIPMENT_WEIGHT_SCANNED", raw(payload("webhook_weight_scanned")))
    assert event.weight_grams == 1241
    assert event.scans == ()


@pytest.mark.parametrize(("value", "unit", "grams"), [(740, "g", 740), (740, None, None), ("heavy", "kg", None)])
def test_a_weight_without_unit_or_number_is_unknown(value, unit, grams):
    body = {"awb": "A1", "weight_data": {"scanned_weight": value, "unit": unit}}
    assert hooks.read("SHIPMENT_WEIGHT_SCANNED", raw(body))[0].weight_grams == grams


def test_a_topic_speaks_where_the_body_names_no_status():
    body = raw({"shipment_data": {"awb": "A1"}, "timestamp": "2026-11-25T13:12:00"})
    (event,) = hooks.read("SHIPMENT_CANCELLED", body)
    assert event.scans[0].progress is Progress.cancelled


def test_a_return_topic_speaks_of_the_way_back():
    (event,) = hooks.read("REVERSE_SHIPMENT_STATUS_UPDATE", raw({"shipment_data": {"awb": "R1", "status": "IT"}}))
    assert (event.scans[0].flow, event.scans[0].progress) == (Flow.reverse, Progress.in_transit)


def test_an_unknown_status_falls_back_on_its_code_and_else_moves_nothing():
    body = {"shipment_data": {"awb": "A1", "status": "Gone for good", "status_code": "LOST"}}
    assert hooks.read("SHIPMENT_STATUS_UPDATE", raw(body))[0].scans[0].progress is Progress.lost
    body["shipment_data"]["status_code"] = "X9"
    assert hooks.read("SHIPMENT_STATUS_UPDATE", raw(body))[0].scans[0].progress is None


def test_a_flat_delivery_without_a_time_happened_as_it_came():
    with time_machine.travel(NOW, tick=False):
        (event,) = hooks.read("SHIPMENT_STATUS_UPDATE", raw({"tracking_number": "A1", "status": "OFD"}))
    assert event.scans[0].at == NOW


def test_a_settlement_holds_no_news_of_parcels():
    body = {"event_type": "SETTLEMENT_COMPLETED", "settlement_data": {"settlement_id": "S1"}}
    assert hooks.read("SETTLEMENT_COMPLETED", raw(body)) == []


def test_several_events_in_one_delivery_are_read():
    events = hooks.read("SHIPMENT_STATUS_UPDATE", raw([{"awb": "A1", "status": "IT"}, {"awb": "A2", "status": "DEL"}]))
    assert [event.awb for event in events] == ["A1", "A2"]


@pytest.mark.parametrize("body", [b"not json", b"{}", b"3", b'{"shipment_data": {"status": "IT"}}'])
def test_a_delivery_without_an_awb_is_malformed(body):
    with pytest.raises(Malformed):
        hooks.read("SHIPMENT_STATUS_UPDATE", body)
