"""Velocity as a courier: bookings that finish or stay open honestly, cancelling, tracking, labels."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import httpx2
import pytest

from shipcrowd.couriers.contract import Flow, Progress
from shipcrowd.integrations.velocity.courier import VelocityCourier
from shipcrowd.kernel.outbound import Disconnected, Malformed, Refused, Unavailable

FORWARD = "/forward-order-orchestration"
ORDER = "/forward-order"
SHIPMENT = "/forward-order-shipment"
CANCEL = "/cancel-order"
TRACK = "/order-tracking"
LABEL = "https://labels-sona.s3.ap-south-1.amazonaws.com/143_shipping_label.pdf"


async def test_a_parcel_is_booked_in_one_step(courier, script, payload, booking_request):
    script.on(FORWARD, payload("forward_booked_in_one_step"))
    booking = await courier.book(booking_request)
    assert booking.awb == "14325600917744"
    assert script.paths() == [FORWARD]
    assert script.bodies(FORWARD)[0]["order_id"] == booking_request.reference
    assert script.bodies(FORWARD)[0]["weight"] == 0.74


async def test_an_order_created_without_an_awb_is_finished_not_ordered_again(courier, script, payload, booking_request):
    script.on(FORWARD, payload("forward_created_without_awb")).on(SHIPMENT, payload("forward_booked_in_one_step"))
    booking = await courier.book(booking_request)
    assert booking.awb == "14325600917744"
    assert script.paths() == [FORWARD, SHIPMENT]
    assert script.bodies(SHIPMENT) == [{"shipment_id": "SHI5MM41ZA", "carrier_id": "CAR2CHKPXAC5T"}]


async def test_what_the_second_step_leaves_out_is_kept_from_the_first(courier, script, payload, booking_request):
    script.on(FORWARD, payload("forward_created_without_awb"))
    script.on(SHIPMENT, {"status": 1, "payload": {"order_id": None, "awb_code": "A1"}})
    booking = await courier.book(booking_request)
    assert (booking.awb, booking.courier_order_id, booking.courier_shipment_id) == ("A1", "ORD7KD20QW", "SHI5MM41ZA")


async def test_an_account_may_book_in_two_steps(account, script, payload, booking_request):
    script.on(ORDER, payload("forward_created_without_awb")).on(SHIPMENT, payload("forward_booked_in_one_step"))
    courier = VelocityCourier(replace(account, settings={"booking": "two_step"}))
    assert (await courier.book(booking_request)).awb == "14325600917744"
    assert script.paths() == [ORDER, SHIPMENT]


async def test_a_timeout_after_sending_leaves_the_booking_open(courier, script, booking_request):
    script.on(FORWARD, httpx2.ReadTimeout("slow"))
    with pytest.raises(Unavailable) as unavailable:
        await courier.book(booking_request)
    assert unavailable.value.maybe_received is True
    assert script.paths() == [FORWARD]


@pytest.mark.parametrize(
    "body",
    [
        {"status": 1, "payload": {}},
        {"status": 1, "payload": {"order_created": 1}},
        {"status": 1, "payload": None},
        {"status": 1},
    ],
)
async def test_a_booking_that_cannot_be_read_leaves_it_open(courier, script, booking_request, body):
    script.on(FORWARD, body)
    with pytest.raises(Unavailable) as unavailable:
        await courier.book(booking_request)
    assert unavailable.value.maybe_received is True


async def test_a_booking_that_says_nothing_was_created_is_refused(courier, script, booking_request):
    script.on(FORWARD, {"status": 1, "payload": {"order_created": 0, "awb_generated": 0, "message": "Blocked"}})
    with pytest.raises(Refused, match="Blocked") as refused:
        await courier.book(booking_request)
    assert refused.value.code == "order_rejected"


async def test_an_order_of_the_same_reference_over_there_leaves_the_booking_open(courier, script, booking_request):
    script.on(FORWARD, {"message": "Order already exists"}, status=422)
    with pytest.raises(Unavailable) as unavailable:
        await courier.book(booking_request)
    assert unavailable.value.maybe_received is True


async def test_an_awb_refused_in_the_second_step_refuses_the_booking(courier, script, payload, booking_request):
    script.on(FORWARD, payload("forward_created_without_awb"))
    script.on(SHIPMENT, {"message": "Courier could not assign"}, status=422)
    with pytest.raises(Refused) as refused:
        await courier.book(booking_request)
    assert refused.value.code == "awb_not_assigned"


async def test_a_throttled_second_step_is_asked_again(courier, script, payload, answer, booking_request):
    script.on(FORWARD, payload("forward_created_without_awb"))
    script.on(SHIPMENT, answer(429, {}, **{"retry-after": "0"}), answer(200, payload("forward_booked_in_one_step")))
    assert (await courier.book(booking_request)).awb == "14325600917744"
    assert script.paths() == [FORWARD, SHIPMENT, SHIPMENT]


async def test_a_second_step_that_stays_throttled_leaves_the_booking_open(
    courier, script, payload, answer, booking_request
):
    script.on(FORWARD, payload("forward_created_without_awb"))
    script.on(SHIPMENT, answer(429, {}, **{"retry-after": "0"}))
    with pytest.raises(Unavailable) as unavailable:
        await courier.book(booking_request)
    assert unavailable.value.maybe_received is True
    assert script.paths() == [FORWARD, SHIPMENT, SHIPMENT, SHIPMENT]


async def test_a_second_step_that_times_out_is_not_sent_twice(courier, script, payload, booking_request):
    script.on(FORWARD, payload("forward_created_without_awb")).on(SHIPMENT, httpx2.ReadTimeout("slow"))
    with pytest.raises(Unavailable) as unavailable:
        await courier.book(booking_request)
    assert unavailable.value.maybe_received is True
    assert script.paths() == [FORWARD, SHIPMENT]


async def test_what_velocity_could_not_carry_is_refused_before_anything_is_sent(courier, script, booking_request):
    with pytest.raises(Refused):
        await courier.book(replace(booking_request, weight_grams=0))
    assert script.requests == []


async def test_a_return_is_booked(courier, script, payload, return_request):
    script.on("/reverse-order-orchestration", payload("return_booked"))
    booking = await courier.book_return(return_request)
    assert (booking.awb, booking.carrier) == ("R77120934", "Shadowfax")


async def test_a_return_is_booked_in_two_steps(account, script, return_request):
    script.on("/reverse-order", {"status": 1, "payload": {"return_id": "RET1", "order_id": "X", "awb_generated": 0}})
    script.on(
        "/reverse-order-shipment", {"status": 1, "payload": {"order_id": None, "awb": "R1", "shipment_id": "SHI1"}}
    )
    courier = VelocityCourier(replace(account, settings={"booking": "two_step"}))
    assert (await courier.book_return(return_request)).awb == "R1"
    assert script.bodies("/reverse-order-shipment") == [
        {"return_id": "RET1", "warehouse_id": "WH7QK2", "carrier_id": "CAR2CHKPXAC5T"}
    ]


async def test_offers_come_from_serviceability(courier, script, parcel):
    result = {"serviceability_results": [{"carrier_id": "CAR2CHKPXAC5T", "carrier_name": "x"}], "zone": "zone_c"}
    script.on("/serviceability", {"status": "SUCCESS", "result": result})
    (offer,) = await courier.offers(parcel)
    assert (offer.service, offer.zone) == ("CAR2CHKPXAC5T", "c")
    assert script.bodies("/serviceability") == [
        {"from": "560058", "to": "411004", "payment_mode": "cod", "shipment_type": "forward"}
    ]


async def test_a_lane_nobody_serves_has_no_offers(courier, script, parcel):
    script.on("/serviceability", {"message": "Pincode not serviceable"}, status=422)
    assert await courier.offers(parcel) == ()
    assert await courier.offers(replace(parcel, to_pincode="4110")) == ()
    assert len(script.requests) == 1


async def test_any_other_refusal_of_offers_is_told(courier, script, parcel):
    script.on("/serviceability", {"message": "Account suspended"}, status=403)
    with pytest.raises(Refused):
        await courier.offers(parcel)


async def test_cancelling_goes_fifty_at_a_time(courier, script):
    script.on(CANCEL, {"message": "Bulk cancellation is in progress"})
    awbs = [f"AWB{n:05}" for n in range(120)]
    results = await courier.cancel([*awbs, awbs[0]])
    assert [len(body["awbs"]) for body in script.bodies(CANCEL)] == [50, 50, 20]
    assert [result.awb for result in results] == awbs
    assert all(result.accepted for result in results)
    assert results[0].message == "Bulk cancellation is in progress"


def refusing(answer, late, *, naming):
    """A far side that refuses any batch with a late parcel in it, naming the parcel or not."""

    def respond(request):
        found = [awb for awb in json.loads(request.content)["awbs"] if awb in late]
        if not found:
            return answer(200, {"message": "In progress"})
        beside = {"awb": found[0], "current_status": "delivered"} if naming else {}
        return answer(422, {"message": "Shipment cannot be cancelled", **beside})

    return respond


@pytest.mark.parametrize("naming", [True, False])
async def test_one_late_parcel_does_not_keep_the_others_from_being_cancelled(courier, script, answer, naming):
    awbs = [f"AWB{n:05}" for n in range(20)]
    script.on(CANCEL, refusing(answer, {awbs[3], awbs[17]}, naming=naming))
    results = await courier.cancel(awbs)
    assert [result.awb for result in results if not result.accepted] == [awbs[3], awbs[17]]
    assert [result.awb for result in results] == awbs
    assert len(script.requests) <= (3 if naming else 20)


async def test_cancelling_twice_is_accepted(courier, script):
    script.on(CANCEL, {"message": "Shipment is already cancelled"}, status=422)
    (result,) = await courier.cancel(["AWB00001"])
    assert result.accepted


async def test_an_account_that_may_not_cancel_is_told_once(courier, script):
    script.on(CANCEL, {"message": "Not permitted"}, status=403)
    results = await courier.cancel(["AWB00001", "AWB00002"])
    assert [result.accepted for result in results] == [False, False]
    assert len(script.requests) == 1


async def test_tracking_answers_each_awb_for_itself(courier, script, payload):
    script.on(TRACK, payload("tracking_of_four"))
    asked = ["14325600917744", "14325600917755", "14325600917766", "14325600917777", "14325600917788"]
    replies = await courier.scans(asked)
    assert list(replies) == asked[:4]  # the fifth was not answered for
    assert replies[asked[0]].scans[-1].progress is Progress.delivered
    assert all(replies[awb].error for awb in asked[1:4])


async def test_tracking_goes_in_batches(courier, script):
    script.on(TRACK, {"result": {}})
    await courier.scans([f"AWB{n:05}" for n in range(60)])
    assert [len(body["awbs"]) for body in script.bodies(TRACK)] == [50, 10]


async def test_tracking_that_fails_part_way_keeps_what_it_has(courier, script, answer):
    first = {"result": {"AWB00000": {"error": "no news"}}}
    script.on(TRACK, answer(200, first), answer(429, {}, **{"retry-after": "30"}))
    replies = await courier.scans([f"AWB{n:05}" for n in range(60)])
    assert list(replies) == ["AWB00000"]


async def test_tracking_that_fails_at_once_is_unavailable(courier, script, answer):
    script.on(TRACK, answer(429, {}, **{"retry-after": "30"}))
    with pytest.raises(Unavailable):
        await courier.scans(["AWB00000"])


async def test_an_awb_that_has_the_whole_batch_refused_is_found(courier, script, answer):
    def respond(request):
        if b"BAD" in request.content:
            return answer(404, {"message": "Shipment not found"})
        return answer(200, {"result": {"AWB00001": {"error": "no news"}, "AWB00002": {"error": "no news"}}})

    script.on(TRACK, respond)
    replies = await courier.scans(["AWB00001", "BAD00001", "AWB00002"])
    assert set(replies) == {"AWB00001", "BAD00001", "AWB00002"}
    assert "does not know" in (replies["BAD00001"].error or "")


async def test_an_account_that_may_not_track_is_told(courier, script):
    script.on(TRACK, {"message": "Not permitted"}, status=403)
    with pytest.raises(Refused):
        await courier.scans(["AWB00001", "AWB00002"])


async def test_a_pickup_point_is_registered(courier, script, booking_request):
    script.on("/warehouse", {"status": "SUCCESS", "payload": {"warehouse_id": "WH9AB1"}})
    assert await courier.register_pickup_point(booking_request.ship_from) == "WH9AB1"
    assert script.bodies("/warehouse")[0]["phone_number"] == "9845011223"


async def test_a_registration_without_an_id_in_the_answer_stays_open(courier, script, booking_request):
    script.on("/warehouse", {"status": "SUCCESS", "payload": {}})
    with pytest.raises(Unavailable) as unavailable:
        await courier.register_pickup_point(booking_request.ship_from)
    assert unavailable.value.maybe_received is True


async def test_a_pickup_point_velocity_does_not_accept_is_refused_with_its_reason(courier, script, booking_request):
    script.on("/warehouse", {"message": "Invalid", "errors": {"zip": ["not covered"]}}, status=400)
    with pytest.raises(Refused, match="zip: not covered"):
        await courier.register_pickup_point(booking_request.ship_from)


async def test_totals_are_asked_on_the_indian_clock(courier, script):
    script.on("/reports", {"status": "SUCCESS", "payload": {"summary": {"return_delivered": {"count": 3}}}})
    start, end = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)
    assert await courier.totals(start, end, Flow.reverse) == {"return_delivered": 3}
    assert script.bodies("/reports") == [
        {
            "start_date_time": "2026-11-01T05:30:00+05:30",
            "end_date_time": "2026-11-02T05:30:00+05:30",
            "shipment_type": "return",
        }
    ]


async def test_checking_the_connection_signs_in_with_the_password(courier, script):
    await courier.check()
    assert script.paths() == ["/auth-token"]
    script.on("/auth-token", {"error": "Invalid credentials"}, status=401)
    with pytest.raises(Disconnected):
        await courier.check()


PDF = httpx2.Response(200, content=b"%PDF-1.4 label")


@pytest.fixture
def label_path(script):
    """`label_path("/x.pdf")` has that path serve a PDF, or whatever else is given."""

    return lambda path, answered=PDF: script.on(path, answered)


async def test_a_label_is_fetched_without_our_token(courier, script, label_path):
    label_path("/143_shipping_label.pdf")
    assert await courier.fetch_label(LABEL) == b"%PDF-1.4 label"
    assert "authorization" not in script.requests[0].headers


@pytest.mark.parametrize(
    "url",
    [
        "https://s3.ap-south-1.amazonaws.com/labels-sona/x.pdf",
        "https://s3-ap-south-1.amazonaws.com/labels-sona/x.pdf",
        "https://labels.sona.s3.dualstack.ap-south-1.amazonaws.com/labels-sona/x.pdf",
        "https://shazam.velocity.in/labels-sona/x.pdf",
        "https://SHIPFASTT.in/labels-sona/x.pdf",
        "https://cdn.shipfastt.in:443/labels-sona/x.pdf",
    ],
)
async def test_labels_are_fetched_from_velocitys_hosts(courier, label_path, url):
    label_path("/labels-sona/x.pdf")
    assert await courier.fetch_label(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://labels-sona.s3.ap-south-1.amazonaws.com/x.pdf",
        "https://labels-sona.s3.eu-west-1.amazonaws.com/x.pdf",
        "https://s3.ap-south-1.amazonaws.com.evil.example/x.pdf",
        "https://evils3.ap-south-1.amazonaws.com/x.pdf",
        "https://notvelocity.in/x.pdf",
        "https://velocity.in@evil.example/x.pdf",
        "https://evil.example@velocity.in/x.pdf",
        "https://velocity.in:8443/x.pdf",
        "https://169.254.169.254/latest/meta-data",
        "https://localhost/x.pdf",
        "file:///etc/passwd",
        "https://[::1/x.pdf",
        "https://velocity.in:port/x.pdf",
        "",
    ],
)
async def test_a_label_at_any_other_host_is_refused_and_not_fetched(courier, script, url):
    with pytest.raises(Refused) as refused:
        await courier.fetch_label(url)
    assert refused.value.code == "label_host_refused"
    assert script.requests == []


async def test_a_test_host_may_serve_labels_over_http_where_the_settings_name_it(account, script, label_path):
    label_path("/x.pdf")
    settings = {"label_hosts": "labels.test:8123", "base_url": "http://localhost:9000"}
    courier = VelocityCourier(replace(account, settings=settings))
    assert await courier.fetch_label("http://labels.test:8123/x.pdf")
    assert await courier.fetch_label("http://localhost:9000/x.pdf")
    with pytest.raises(Refused):
        await courier.fetch_label("http://labels.test:9999/x.pdf")


@pytest.mark.parametrize(
    ("answered", "failure"),
    [
        (httpx2.Response(403, content=b"<Error>Request has expired</Error>"), Refused),
        (httpx2.Response(404), Refused),
        (httpx2.Response(302, headers={"location": "http://evil.example"}), Unavailable),
        (httpx2.Response(200, content=b"<html>login</html>"), Malformed),
        (httpx2.Response(200, content=b"%PDF-" + b"0" * (5 * 1024 * 1024)), Malformed),
    ],
)
async def test_what_is_no_label_is_not_taken_for_one(courier, label_path, answered, failure):
    label_path("/143_shipping_label.pdf", answered)
    with pytest.raises(failure):
        await courier.fetch_label(LABEL)
