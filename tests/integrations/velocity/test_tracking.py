"""Statuses by table, histories event by event."""

from datetime import UTC, datetime, timedelta

import pytest

from shipcrowd.couriers.contract import Flow, Progress
from shipcrowd.integrations.velocity import tracking

SEEN = datetime(2026, 11, 26, 6, 30, tzinfo=UTC)
P = Progress


@pytest.mark.parametrize(
    ("status", "progress"),
    [
        ("NEW", P.pickup_pending),
        ("Manifested", P.pickup_pending),
        ("pending", P.pickup_pending),
        ("PICKUP_SCHEDULED", P.pickup_pending),
        ("Out For Pickup", P.pickup_pending),
        ("pickup failed", P.pickup_failed),
        ("PKP", P.picked_up),
        ("picked_up", P.picked_up),
        ("IT", P.in_transit),
        ("In-Transit", P.in_transit),
        (" REACHED  HUB ", P.in_transit),
        ("DISPATCHED", P.in_transit),
        ("OFD", P.out_for_delivery),
        ("out_for_delivery", P.out_for_delivery),
        ("DEL", P.delivered),
        ("Delivered", P.delivered),
        ("NDR", P.delivery_failed),
        ("delivery attempted", P.delivery_failed),
        ("DELIVERY_FAILED", P.delivery_failed),
        ("Undelivered", P.delivery_failed),
        ("UNDELIVERED - door closed", P.delivery_failed),
        ("RTO", P.rto_initiated),
        ("rto initiated: refused by customer", P.rto_initiated),
        ("RTO_IN_TRANSIT", P.rto_in_transit),
        ("RTO - In Transit", P.rto_in_transit),
        ("RTO OUT FOR DELIVERY", P.rto_out_for_delivery),
        ("RTO Delivered", P.rto_delivered),
        ("CANCELLED", P.cancelled),
        ("canceled", P.cancelled),
        ("CANCELLATION_REQUESTED", P.cancelling),
        ("LOST", P.lost),
        ("Damaged", P.damaged),
        ("TELEPORTED", None),
        ("", None),
    ],
)
def test_a_status_means_the_same_whatever_its_spelling(status, progress):
    assert tracking.meaning(status) == (progress, Flow.forward)


@pytest.mark.parametrize(
    ("status", "progress"),
    [
        ("RETURN PICKUP SCHEDULED", P.pickup_pending),
        ("return_picked_up", P.picked_up),
        ("Return In Transit", P.in_transit),
        ("RETURN DELIVERED", P.delivered),
        ("return_lost", P.lost),
    ],
)
def test_the_statuses_of_a_return_stand_for_the_way_back(status, progress):
    assert tracking.meaning(status) == (progress, Flow.reverse)


@pytest.mark.parametrize(
    "activity",
    [
        "Customer was not available",
        "Consignee unavailable at address",
        "Shipment refused by receiver",
        "Incomplete address, landmark missing",
        "Address was found incorrect",
        "Customer unreachable",
        "Mobile number switched off",
        "Reschedule requested by buyer",
        "Delivery attempted, nobody came",
        "Premises closed",
    ],
)
def test_free_text_tells_of_a_failed_attempt(activity):
    assert tracking.told_by(activity) == (P.delivery_failed, Flow.forward)


@pytest.mark.parametrize(
    "activity",
    [
        "Pickup failed as seller was not available",
        "Pick up rescheduled, reschedule requested by seller",
        "RTO parcel refused at gate",
        "Return: customer unavailable",
        "Bagged at hub",
    ],
)
def test_the_same_words_of_another_leg_are_no_failed_attempt(activity):
    assert tracking.told_by(activity)[0] is not P.delivery_failed


def test_one_bad_event_never_costs_the_others(payload):
    reply, unread = tracking.reply_of("14325600917744", payload("tracking_of_four")["result"]["14325600917744"], SEEN)
    assert unread == 1  # the one dated "soon"
    assert [scan.progress for scan in reply.scans] == [
        P.picked_up,
        None,  # an event without words is kept and moves nothing
        P.delivery_failed,
        P.out_for_delivery,
        P.delivered,
    ]
    assert reply.scans[0].at == datetime(2026, 11, 22, 11, 35, tzinfo=UTC)
    assert reply.scans[2].remark == "Customer was not available"
    assert reply.scans[2].location == "Pune Karve Road"
    assert reply.error is None
    assert reply.courier_order_id == "ORD7KD20QW"
    assert reply.reference is None
    assert reply.track_url == "https://shipfastt.in/track/14325600917744"
    assert reply.pod is None


@pytest.mark.parametrize("awb", ["14325600917755", "14325600917766", "14325600917777"])
def test_an_awb_without_news_carries_an_error_and_no_scans(payload, awb):
    reply, _ = tracking.reply_of(awb, payload("tracking_of_four")["result"][awb], SEEN)
    assert reply.error
    assert reply.scans == ()


def entry(status, *activities, **track):
    events = [{"date": date, "activity": said} for date, said in activities]
    data = {"shipment_status": status, "shipment_track": [track], "shipment_track_activities": events}
    return {"tracking_data": data}


def test_a_current_status_the_history_lacks_becomes_a_scan_with_the_latest_remark():
    reply, _ = tracking.reply_of("A1", entry("UNDELIVERED", ("2026-11-25 10:00", "No answer at gate 4")), SEEN)
    assert [scan.progress for scan in reply.scans] == [None, P.delivery_failed]
    assert reply.scans[1].at == reply.scans[0].at
    assert reply.scans[1].remark == "No answer at gate 4"


def test_a_current_status_is_dated_by_its_own_date_where_that_is_later():
    answer = entry("DELIVERED", ("2026-11-25 10:00", "IN TRANSIT"), delivered_date="2026-11-25 18:00")
    reply, _ = tracking.reply_of("A1", answer, SEEN)
    assert reply.scans[-1].at == datetime(2026, 11, 25, 12, 30, tzinfo=UTC)


def test_an_undated_end_is_dated_as_seen_and_anything_else_by_the_day():
    ended, _ = tracking.reply_of("A1", entry("LOST"), SEEN)
    assert ended.scans[0].at == SEEN
    first, _ = tracking.reply_of("A1", entry("NDR"), SEEN)
    again, _ = tracking.reply_of("A1", entry("NDR"), SEEN + timedelta(hours=2))
    assert first.scans == again.scans


def test_asking_again_yields_the_same_scans():
    answer = entry("OFD", ("2026-11-25 09:00", "Handed to rider Sunil"))
    assert tracking.reply_of("A1", answer, SEEN) == tracking.reply_of("A1", answer, SEEN + timedelta(hours=5))


def test_an_unknown_current_status_is_kept_once_and_moves_nothing():
    reply, _ = tracking.reply_of("A1", entry("TELEPORTED", ("2026-11-25 09:00", "Picked up")), SEEN)
    assert [(scan.status, scan.progress) for scan in reply.scans] == [("Picked up", P.picked_up), ("TELEPORTED", None)]
    reply, _ = tracking.reply_of("A1", entry("TELEPORTED", ("2026-11-25 09:00", "Teleported")), SEEN)
    assert len(reply.scans) == 1


def test_events_of_one_minute_listed_newest_first_keep_their_order():
    answer = entry(
        "DELIVERED",
        ("2026-11-25 10:00", "DELIVERED"),
        ("2026-11-25 10:00", "OFD"),
        ("2026-11-25 09:00", "REACHED HUB"),
    )
    reply, _ = tracking.reply_of("A1", answer, SEEN)
    assert [scan.progress for scan in reply.scans] == [P.in_transit, P.out_for_delivery, P.delivered]


def test_at_a_returns_pickup_an_absent_buyer_is_no_failed_delivery():
    answer = entry("RETURN PICKUP SCHEDULED", ("2026-11-25 10:00", "Customer was not available"))
    reply, _ = tracking.reply_of("R1", answer, SEEN)
    assert [(scan.progress, scan.flow) for scan in reply.scans] == [
        (None, Flow.reverse),
        (P.pickup_pending, Flow.reverse),
    ]


def test_our_own_reference_is_told_from_their_order_id():
    reply, _ = tracking.reply_of("A1", entry("LOST", order_id="01939d2e-7c1a"), SEEN)
    assert (reply.reference, reply.courier_order_id) == ("01939d2e-7c1a", None)


def test_an_event_with_a_status_of_its_own_is_read_by_it():
    data = {"shipment_track_activities": [{"date": "2026-11-25 10:00", "status": "OFD", "activity": "With Sunil"}]}
    reply, _ = tracking.reply_of("A1", {"tracking_data": data}, SEEN)
    assert (reply.scans[0].progress, reply.scans[0].status) == (P.out_for_delivery, "OFD")
    assert reply.scans[0].remark == "With Sunil"
