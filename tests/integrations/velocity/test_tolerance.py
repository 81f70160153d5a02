"""Whatever JSON comes, reading it ends in an answer or in one of the outside failures: nothing else escapes."""

import json
from contextlib import suppress
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from shipcrowd.integrations.velocity import mapping, reading, refusals, tracking, webhooks
from shipcrowd.kernel.outbound import Malformed, Refused, read_json

SEEN = datetime(2026, 11, 26, 6, 30, tzinfo=UTC)

NAMES = st.sampled_from(
    [
        "awb",
        "awb_code",
        "status",
        "shipment_status",
        "tracking_data",
        "shipment_track",
        "shipment_track_activities",
        "date",
        "activity",
        "error",
        "errors",
        "message",
        "payload",
        "result",
        "summary",
        "count",
        "charges",
        "frwd_charges",
        "shipping_charges",
        "cod_charges",
        "reverse_charges",
        "serviceability_results",
        "carrier_id",
        "carrier_name",
        "zone",
        "shipment_data",
        "weight_data",
        "scanned_weight",
        "unit",
        "timestamp",
        "timezone",
        "pod_details",
        "order_id",
        "applied_weight",
        "pickup_scheduled_date",
        "current_status",
    ]
)
TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["2026-11-25 13:12", "25-11-2026", "DELIVERED", "OFD", "1e400", "NaN", "Infinity", "-1", "kg", "61.40"]
    ),
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.floats(), TEXTS)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=6), max_leaves=25
)


def as_read(value):
    """The value as it would come off the wire: numbers with a point are exact decimals."""
    return read_json(json.dumps(value))


@settings(max_examples=100)
@given(ANYTHING)
def test_any_tracking_answer_is_read_or_left_out(value):
    reply, unread = tracking.reply_of("A1", as_read(value), SEEN)
    assert unread >= 0
    assert all(scan.at.tzinfo for scan in reply.scans)


@settings(max_examples=100)
@given(ANYTHING)
def test_any_booking_offer_or_total_is_read_or_malformed(value):
    answer = reading.record(as_read(value))
    mapping.offers(answer)
    mapping.totals(answer)
    with suppress(Malformed):
        mapping.booking(answer)


@settings(max_examples=100)
@given(st.sampled_from([200, 400, 403, 404, 409, 422]), ANYTHING, st.sampled_from(["", "cancel", "warehouse"]))
def test_any_error_body_is_a_refusal_with_words(status, value, doing):
    refusal = refusals.refusal(status, as_read(value), doing=doing)
    assert isinstance(refusal, Refused)
    assert refusal.code in refusals.WORDS
    assert refusal.message


@settings(max_examples=100)
@given(ANYTHING)
def test_any_webhook_body_is_read_or_malformed(value):
    body = json.dumps(value).encode()
    hooks = webhooks.VelocityWebhooks()
    assert hooks.delivery_id({}, body)
    assert hooks.topic({}, body)
    with suppress(Malformed):
        hooks.read("SHIPMENT_STATUS_UPDATE", body)
