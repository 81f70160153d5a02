"""Trouble on demand, and that it does exactly as much harm as it says."""

import asyncio
import time

import httpx2
import pytest

from shipcrowd.sandbox.faults import FaultKind, Faults
from shipcrowd.sandbox.schemas import NewFault

SHOP = "asha-crafts.myshopify.com"
BOOK = "forward-order-orchestration"


async def test_a_time_out_after_booking_leaves_the_parcel(velocity, forward, desk):
    body = forward(await velocity.warehouse())
    desk.add_fault(NewFault(vendor="velocity", operation=BOOK, kind=FaultKind.timeout_after))
    velocity.http.timeout = httpx2.Timeout(0.1)
    with pytest.raises(httpx2.ReadTimeout):
        await velocity.post(BOOK, body)
    (parcel,) = desk.parcels("SC-1001")
    assert parcel.awb
    assert (await velocity.post(BOOK, body)).status_code == 200, "the fault struck once"
    assert desk.stats().parcels_by_order == {"SC-1001": 2}


async def test_a_time_out_before_booking_leaves_nothing(velocity, forward, desk):
    body = forward(await velocity.warehouse())
    desk.add_fault(NewFault(vendor="velocity", operation=BOOK, kind=FaultKind.timeout_before))
    velocity.http.timeout = httpx2.Timeout(0.1)
    with pytest.raises(httpx2.ReadTimeout):
        await velocity.post(BOOK, body)
    assert desk.parcels() == []


@pytest.mark.parametrize(("retry_after", "header"), [(7, "7"), (None, None)])
async def test_throttling_with_and_without_a_hint(velocity, forward, desk, retry_after, header):
    desk.add_fault(NewFault(vendor="velocity", kind=FaultKind.throttled, retry_after=retry_after))
    reply = await velocity.post(BOOK, {})
    assert reply.status_code == 429
    assert reply.headers.get("Retry-After") == header


@pytest.mark.parametrize(("kind", "parcels"), [(FaultKind.unavailable, 0), (FaultKind.unavailable_after, 1)])
async def test_a_503_is_an_html_page_and_may_or_may_not_have_booked(velocity, forward, desk, kind, parcels):
    body = forward(await velocity.warehouse())
    desk.add_fault(NewFault(vendor="velocity", operation=BOOK, kind=kind))
    reply = await velocity.post(BOOK, body)
    assert reply.status_code == 503
    assert reply.headers["content-type"].startswith("text/html")
    assert len(desk.parcels()) == parcels


async def test_a_malformed_answer_has_the_right_status_and_half_the_body(velocity, forward, desk):
    body = forward(await velocity.warehouse())
    desk.add_fault(NewFault(vendor="velocity", operation=BOOK, kind=FaultKind.malformed))
    reply = await velocity.post(BOOK, body)
    assert reply.status_code == 200
    with pytest.raises(ValueError):
        reply.json()
    assert len(desk.parcels()) == 1


async def test_shopifys_faults_are_armed_by_the_root_field(shopify, desk):
    desk.add_fault(NewFault(vendor="shopify", operation="orders", kind=FaultKind.unavailable))
    assert (await shopify.post(shopify.documents["ShopInfo"])).status_code == 200
    assert (await shopify.post(shopify.documents["OrdersScan"], {"first": 1, "q": ""})).status_code == 503
    assert desk.armed_faults() == []


async def test_a_lost_answer_to_a_fulfilment_leaves_the_fulfilment(shopify, desk):
    placed = desk.place_order(SHOP)
    desk.add_fault(NewFault(vendor="shopify", operation="fulfillmentCreate", kind=FaultKind.timeout_after))
    shopify.http.timeout = httpx2.Timeout(0.1)
    fo = placed.fulfilment_orders[0].id
    group = {"lineItemsByFulfillmentOrder": [{"fulfillmentOrderId": fo}], "trackingInfo": {"number": "AWB-9"}}
    with pytest.raises(httpx2.ReadTimeout):
        await shopify.ask("Fulfil", f=group)
    assert desk.order(SHOP, placed.name).fulfilments[0].numbers == ("AWB-9",)


async def test_slow_answers_after_a_while(velocity, desk):
    desk.add_fault(NewFault(vendor="velocity", operation="order-tracking", kind=FaultKind.slow, seconds=0.2))
    started = time.monotonic()
    assert (await velocity.post("order-tracking", {"awbs": ["1"]})).status_code == 200
    assert time.monotonic() - started >= 0.2


def test_a_fault_strikes_as_often_as_it_was_armed_for():
    faults = Faults()
    faults.add("velocity", "order-tracking", FaultKind.slow, times=2)
    struck = [faults.take("velocity", ("order-tracking",)) is not None for _ in range(4)]
    assert struck == [True, True, False, False]
    assert faults.take("shopify", ("orders",)) is None


def test_chance_is_the_same_with_the_same_seed():
    def draw(seed):
        faults = Faults(seed)
        faults.add("velocity", "*", FaultKind.slow, times=None, probability=0.3)
        return [faults.take("velocity", ("reports",)) is not None for _ in range(50)]

    assert draw(3) == draw(3)
    assert 5 < sum(draw(3)) < 25


@pytest.mark.parametrize("bad", [{"probability": 0}, {"seconds": 31}, {"times": 0}, {"kind": "earthquake"}])
def test_a_fault_that_makes_no_sense_is_refused(bad):
    with pytest.raises(ValueError):
        Faults().add("velocity", "*", **{"kind": FaultKind.slow, **bad})


async def test_over_a_socket_a_stand_in_stops_waiting_when_the_client_hangs_up(served):
    base, desk = served
    desk.add_fault(NewFault(vendor="velocity", operation="auth-token", kind=FaultKind.timeout_before, seconds=30))
    async with httpx2.AsyncClient(trust_env=False, timeout=0.3) as client:
        with pytest.raises(httpx2.ReadTimeout):
            await client.post(f"{base}/shazam.velocity.in/custom/api/v1/auth-token", json={"username": "a"})
    for _ in range(50):
        if not any(
            "linger" in repr(task.get_coro()) or "_hung_up" in repr(task.get_coro()) for task in asyncio.all_tasks()
        ):
            break
        await asyncio.sleep(0.05)
    else:
        pytest.fail("the stand-in still waits for a client that is gone")
