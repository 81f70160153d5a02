"""What happens to a booked parcel besides delivery: cancelled, refused at the door, sent back, never answered."""

from datetime import timedelta
from typing import Any

import pytest

from shipcrowd.kernel import clock
from shipcrowd.sandbox.faults import FaultKind
from shipcrowd.sandbox.schemas import Knobs, NewFault, NewScan
from tests.journeys.world import Seller, World, an_order, kinds

BOOKING = "forward-order-orchestration"


# --- cancelling -----------------------------------------------------------------------------------------------------


async def test_cancelling_before_pickup_refunds_frees_the_order_and_tells_the_store(world: World, seller: Seller):
    shipment = await seller.ship()
    charged = 5000_00 - shipment["charge_paise"]
    assert await seller.money() == (charged, 0)
    asked = await seller.post(f"/shipments/{shipment['id']}/cancel")
    assert asked["state"] == "cancelling"
    assert await seller.money() == (charged, 0)  # accepted is not confirmed: the courier's tracking is
    await seller.settle()
    assert (await seller.shipment(shipment["id"]))["state"] == "cancelled"
    assert await seller.money() == (5000_00, 0)
    order = await seller.order(shipment["order_number"])
    assert order["state"] == "ready"
    (told,) = seller.at_store(order["number"]).fulfilments
    assert told.status == "CANCELLED"
    again = await seller.book(order)
    await seller.settle()
    assert (await seller.shipment(again["id"]))["state"] == "pickup_pending"


async def test_a_parcel_on_its_way_is_not_cancelled_any_more(world: World, seller: Seller):
    shipment = await seller.ship()
    for _ in range(4):
        world.desk.advance(shipment["awb"])
    await seller.settle()
    before = await seller.seen()
    problem = await seller.refused("POST", f"/shipments/{shipment['id']}/cancel", {}, status=409)
    assert problem["code"] == "cannot_cancel"
    await seller.nothing_happened(before)


async def test_an_order_cancelled_at_the_store_after_booking_cancels_its_parcel(world: World, seller: Seller):
    # A store that knows of the parcel does not let the order be cancelled.
    settings = f"/integrations/shopify/stores/{seller.store_id}/settings"
    await seller.ask("PATCH", settings, {"announce": False})
    shipment = await seller.ship()
    world.desk.cancel_order(seller.shop, shipment["order_number"])
    await seller.settle()
    assert (await seller.shipment(shipment["id"]))["state"] == "cancelled"
    assert await seller.money() == (5000_00, 0)
    order = await seller.order(shipment["order_number"])
    assert order["problems"]
    assert (await seller.refused("POST", "/quotes", {"order_id": order["id"]}, status=422))["code"] == "not_bookable"


async def test_an_order_cancelled_at_the_store_before_booking_is_not_shipped(world: World, seller: Seller):
    order = await seller.place()
    quote = await seller.quote(order)
    world.desk.cancel_order(seller.shop, order["number"])
    await seller.settle()
    assert (await seller.order(order["number"]))["state"] == "cancelled"
    want = {"quote_id": quote["id"], "service": quote["options"][0]["service"]}
    assert (await seller.refused("POST", "/shipments", want, status=422))["code"] == "not_bookable"
    assert await seller.money() == (5000_00, 0)


# --- at the door ----------------------------------------------------------------------------------------------------


async def test_a_buyer_who_was_away_gets_the_parcel_at_the_second_try(world: World, seller: Seller):
    shipment = await seller.ship(an_order(cod=True))
    world.desk.fail_delivery(shipment["awb"], "CUSTOMER NOT AVAILABLE")
    await seller.settle()
    failed = await seller.shipment(shipment["id"])
    assert failed["state"] == "delivery_failed"
    assert "CUSTOMER NOT AVAILABLE" in failed["scans"][0]["remark"] + failed["scans"][-1]["remark"]
    assert (await seller.order(shipment["order_number"]))["state"] == "shipped"
    assert "ATTEMPTED_DELIVERY" in seller.at_store(shipment["order_number"]).fulfilments[0].events
    world.desk.deliver(shipment["awb"])
    await seller.settle()
    assert (await seller.shipment(shipment["id"]))["state"] == "delivered"
    assert (await seller.order(shipment["order_number"]))["state"] == "delivered"
    assert seller.at_store(shipment["order_number"]).fulfilments[0].events[-1] == "DELIVERED"


async def test_a_refused_parcel_comes_back_and_the_order_says_so(world: World, seller: Seller):
    shipment = await seller.ship(an_order(cod=True))
    paid = await seller.money()
    world.desk.fail_delivery(shipment["awb"], "CUSTOMER REFUSED")
    world.desk.rto(shipment["awb"])
    await seller.settle()
    assert (await seller.shipment(shipment["id"]))["state"] == "rto_initiated"
    for _ in range(3):
        world.desk.advance(shipment["awb"])
    await seller.settle()
    back = await seller.shipment(shipment["id"])
    assert (back["state"], back["next_check_at"]) == ("rto_delivered", None)
    order = await seller.order(shipment["order_number"])
    assert order["state"] == "rto"
    assert {"shipment_rto_initiated", "shipment_rto_delivered"} <= set(kinds(order))
    assert "FAILURE" in seller.at_store(shipment["order_number"]).fulfilments[0].events
    assert await seller.money() == paid
    # What arrives late about the way out does not undo the way back.
    world.desk.scan(shipment["awb"], NewScan(status="DELIVERED"))
    await seller.settle()
    assert (await seller.shipment(shipment["id"]))["state"] == "rto_delivered"


# --- the courier's webhooks -----------------------------------------------------------------------------------------


def moved(shipment: dict[str, Any], status: str, *, minutes: int = 1, **more: Any) -> dict[str, Any]:
    at = (clock.now() + timedelta(minutes=minutes)).isoformat()
    data = {"awb": shipment["awb"], "order_id": shipment["id"], "status": status, "updated_at": at}
    return {"event_type": "SHIPMENT_STATUS_UPDATE", "webhook_id": f"{status}-{minutes}", "shipment_data": data} | more


async def test_scans_that_come_twice_and_in_disorder_tell_one_story(world: World, seller: Seller):
    shipment = await seller.ship()
    news = [moved(shipment, status, minutes=n) for n, status in enumerate(("PICKED UP", "IN TRANSIT", "DELIVERED"), 1)]
    for said in (news[2], news[0], news[2], news[1], news[0]):
        assert (await world.courier_webhook(said)).status_code == 200
        await seller.settle()
        assert (await seller.shipment(shipment["id"]))["state"] == "delivered"
    after = await seller.shipment(shipment["id"])
    assert sorted(scan["progress"] for scan in after["scans"] if scan["progress"] != "pickup_pending") == [
        "delivered", "in_transit", "picked_up",
    ]  # fmt: skip
    assert kinds(await seller.order(shipment["order_number"])).count("shipment_delivered") == 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"x_velocity_signature": "0" * 64}, 401),
        ({"x_velocity_signature": ""}, 401),
        ({"secret": "guessed"}, 401),
        ({"x_velocity_timestamp": "1700000000"}, 401),
        ({"x_velocity_timestamp": ""}, 401),
    ],
    ids=["a wrong signature", "no signature", "another secret", "years old", "without a time"],
)
async def test_a_forged_scan_is_refused_and_moves_nothing(
    world: World, seller: Seller, headers: dict[str, str], status: int
):
    shipment = await seller.ship()
    before = await seller.seen()
    answer = await world.courier_webhook(moved(shipment, "DELIVERED"), **headers)
    assert answer.status_code == status
    await seller.nothing_happened(before)


async def test_a_scan_replayed_with_another_body_is_one_delivery(world: World, seller: Seller):
    shipment = await seller.ship()
    assert (await world.courier_webhook(moved(shipment, "PICKED UP"))).status_code == 200
    await seller.settle()
    before = await seller.seen()
    # The delivery's id stands in the signed body, so a replay under fresh headers is still the same delivery.
    said = moved(shipment, "DELIVERED") | {"webhook_id": "PICKED UP-1"}
    assert (await world.courier_webhook(said)).status_code == 200
    await seller.nothing_happened(before)


@pytest.mark.parametrize(
    ("body", "status"), [(b"", 400), (b"x" * (1024 * 1024 + 1), 413)], ids=["empty", "over a megabyte"]
)
async def test_a_courier_body_that_is_none_is_refused(world: World, seller: Seller, body: bytes, status: int):
    before = await seller.seen()
    assert (await world.courier_webhook(body)).status_code == status
    await seller.nothing_happened(before)


@pytest.mark.parametrize(
    "body",
    [b"<scan/>", b"[]", b"{}", b'{"event_type": "SHIPMENT_TELEPORTED", "shipment_data": {"awb": "999"}}'],
    ids=["xml", "an empty list", "no AWB", "an AWB nobody booked"],
)
async def test_signed_nonsense_from_the_courier_moves_nothing(world: World, seller: Seller, body: bytes):
    before = await seller.seen()
    assert (await world.courier_webhook(body)).status_code in (200, 400)
    await seller.nothing_happened(before)


async def test_a_status_we_have_no_word_for_is_kept_raw_and_moves_nothing(world: World, seller: Seller):
    shipment = await seller.ship()
    world.desk.scan(shipment["awb"], NewScan(status="SORTED BY ROBOT 7"))
    await seller.settle()
    after = await seller.shipment(shipment["id"])
    assert after["state"] == "pickup_pending"
    assert ("SORTED BY ROBOT 7", None) in {(scan["status"], scan["progress"]) for scan in after["scans"]}


async def test_without_webhooks_the_polled_tracking_tells_the_same(world: World, seller: Seller):
    shipment = await seller.ship()
    world.desk.set_knobs(Knobs(lose=1.0))
    world.desk.deliver(shipment["awb"])
    await seller.settle()
    assert (await seller.shipment(shipment["id"]))["state"] == "pickup_pending"
    await seller.post(f"/shipments/{shipment['id']}/track")
    await seller.settle()
    after = await seller.shipment(shipment["id"])
    assert after["state"] == "delivered"
    assert after["last_checked_at"] is not None
    assert "poll" in {scan["via"] for scan in after["scans"]}


# --- bookings nobody answered ---------------------------------------------------------------------------------------


@pytest.fixture
async def unanswered(world: World, seller: Seller) -> Any:
    """A booking that was made at the courier, whose answer never came, and of which no webhook told."""
    return await unconfirmed(world, seller)


async def unconfirmed(world: World, seller: Seller, kind: FaultKind = FaultKind.unavailable_after, **order: Any) -> Any:
    placed = await seller.place(an_order(**order))
    shipment = await seller.book(placed)
    target, world.desk.velocity.webhook = world.desk.velocity.webhook, None
    world.desk.add_fault(NewFault(vendor="velocity", operation=BOOKING, kind=kind, times=1))
    await seller.settle(impatient=True)
    world.desk.velocity.webhook = target
    return await seller.shipment(shipment["id"])


@pytest.mark.parametrize("kind", [FaultKind.unavailable_after, FaultKind.malformed])
async def test_a_booking_without_a_readable_answer_is_unconfirmed_and_not_made_again(
    world: World, seller: Seller, kind: FaultKind
):
    shipment = await unconfirmed(world, seller, kind)
    assert (shipment["state"], shipment["awb"], shipment["reason_code"]) == ("unconfirmed", None, "no_answer")
    assert await seller.money() == (5000_00 - shipment["charge_paise"], shipment["charge_paise"])
    await seller.settle(impatient=True)
    assert len(world.desk.parcels(shipment["id"])) == 1
    order = await seller.order(shipment["order_number"])
    assert order["state"] == "booked"
    assert (await seller.refused("POST", "/quotes", {"order_id": order["id"]}, status=422))["code"] == "not_bookable"


async def test_a_webhook_settles_an_unconfirmed_booking(world: World, seller: Seller, unanswered: Any):
    (parcel,) = world.desk.parcels(unanswered["id"])
    assert parcel.awb is not None
    world.desk.scan(parcel.awb, NewScan(status="PICKED UP", location="Okhla"))
    await seller.settle()
    after = await seller.shipment(unanswered["id"])
    assert (after["state"], after["awb"], after["reason"]) == ("picked_up", parcel.awb, None)
    assert await seller.money() == (5000_00 - after["charge_paise"], 0)
    assert seller.at_store(after["order_number"]).fulfilments[0].numbers == (parcel.awb,)


async def test_a_person_settles_it_with_the_awb(world: World, seller: Seller, unanswered: Any):
    (parcel,) = world.desk.parcels(unanswered["id"])
    after = await seller.post(f"/shipments/{unanswered['id']}/confirm", {"awb": parcel.awb})
    assert (after["state"], after["awb"]) == ("pickup_pending", parcel.awb)
    assert await seller.money() == (5000_00 - after["charge_paise"], 0)
    twice = await seller.refused("POST", f"/shipments/{unanswered['id']}/confirm", {"awb": "1234567"}, status=409)
    assert twice["code"] == "not_unconfirmed"
    world.desk.deliver(parcel.awb)
    await seller.settle()
    assert (await seller.shipment(unanswered["id"]))["state"] == "delivered"


async def test_a_person_voids_one_that_does_not_exist_at_the_courier(world: World, seller: Seller):
    placed = await seller.place()
    shipment = await seller.book(placed)
    # Its worker died before the courier was asked: nothing there, and we cannot know.
    fault = NewFault(vendor="velocity", operation=BOOKING, kind=FaultKind.unavailable, times=None)
    world.desk.add_fault(fault)
    await seller.settle(impatient=True)
    world.desk.clear_faults()
    shipment = await seller.shipment(shipment["id"])
    assert shipment["state"] == "unconfirmed"
    assert world.desk.parcels(shipment["id"]) == []
    voided = await seller.post(f"/shipments/{shipment['id']}/void")
    assert (voided["state"], voided["reason_code"]) == ("refused", "voided")
    assert await seller.money() == (5000_00, 0)
    again = await seller.book(await seller.order(placed["number"]))
    await seller.settle()
    assert (await seller.shipment(again["id"]))["state"] == "pickup_pending"
    twice = await seller.refused("POST", f"/shipments/{shipment['id']}/void", {}, status=409)
    assert twice["code"] == "not_unconfirmed"


async def test_an_awb_that_belongs_to_another_parcel_settles_nothing(world: World, seller: Seller, unanswered: Any):
    other = await seller.ship()
    before = await seller.seen()
    path = f"/shipments/{unanswered['id']}/confirm"
    problem = await seller.refused("POST", path, {"awb": other["awb"]}, status=409)
    assert (problem["code"], problem["field"]) == ("awb_taken", "awb")
    await seller.nothing_happened(before)


async def test_the_couriers_news_that_overtakes_its_answer_is_not_lost(world: World, seller: Seller):
    """The parcel's first webhooks arrive while we still wait for the booking's answer, which then never comes."""
    shipment = await seller.book(await seller.place())
    world.desk.add_fault(NewFault(vendor="velocity", operation=BOOKING, kind=FaultKind.unavailable_after, times=1))
    await seller.settle(impatient=True)
    (parcel,) = world.desk.parcels(shipment["id"])
    after = await seller.shipment(shipment["id"])
    assert (after["state"], after["awb"]) == ("pickup_pending", parcel.awb)
