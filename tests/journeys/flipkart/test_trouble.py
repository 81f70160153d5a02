"""Flipkart says something wrong, or nothing: what is forged leaves no trace, what failed is made up for, and what
nobody understands moves nothing."""

import json

import pytest

from shipcrowd.integrations.flipkart import webhooks
from shipcrowd.kernel import clock
from shipcrowd.sandbox.desk import Credentials
from shipcrowd.sandbox.faults import FaultKind
from shipcrowd.sandbox.flipkart import oauth, wire
from shipcrowd.sandbox.flipkart.schemas import Dates, Kind, NewShipment
from shipcrowd.sandbox.schemas import NewFault
from tests.journeys.flipkart.world import SERVED, FlipkartSeller
from tests.journeys.world import World


def said(event: str, shipment_id: str) -> bytes:
    now = clock.ist(clock.now()).isoformat(timespec="seconds")
    return json.dumps(
        {"eventType": event, "source": "flipkart", "version": "v3", "timestamp": now, "shipmentId": shipment_id,
         "attributes": {}}
    ).encode()  # fmt: skip


def signed(asha: FlipkartSeller, body: bytes, **changes: str) -> dict[str, str]:
    given = {"app_id": Credentials().flipkart_app_id, "secret": Credentials().flipkart_app_secret} | changes
    key = webhooks.Key("fklogin", given["secret"], 900, app_id=given["app_id"], url=given.get("url", asha.webhook_url))
    return webhooks.sign(key.written(), "", asha.id, body, clock.now())


def unseen(asha: FlipkartSeller) -> str:
    """A shipment nobody has told us of."""
    return asha.desk.place(asha.id, NewShipment(kind=Kind.standard_cod, pincode=SERVED, silent=True)).id


def dead(_world: object, _header: str) -> None:
    raise oauth.BadGrant("invalid_token", "Access token expired")


@pytest.mark.parametrize(
    "changes",
    [
        {"secret": "guessed"},
        {"app_id": "another-app"},
        {"url": "https://shipcrowd.test/api/v1/webhooks/flipkart/somebody-else"},
    ],
)
async def test_a_forged_notification_is_refused_and_leaves_no_trace(asha: FlipkartSeller, changes):
    shipment = unseen(asha)
    before = await asha.at_api.seen()
    body = said("shipment_created", shipment)
    assert (await asha.posted(body, signed(asha, body, **changes))).status_code == 401
    assert (await asha.posted(body, {})).status_code == 401
    await asha.at_api.nothing_happened(before)
    assert await asha.deliveries() == []
    # The same news, truly signed, is taken: it was the signature that was wrong.
    assert (await asha.posted(body, signed(asha, body))).status_code == 200
    await asha.settle()
    assert (await asha.order(shipment))["state"] == "ready"


async def test_a_page_of_html_in_place_of_json_is_waited_out(world: World, asha: FlipkartSeller):
    shipment = unseen(asha)
    page = NewFault(vendor="flipkart", operation="shipments.filter", kind=FaultKind.unavailable, times=3)
    world.desk.add_fault(page)  # as often as one call is tried at once
    await asha.at_api.post(f"/integrations/flipkart/stores/{asha.store_id}/sync/orders")
    await asha.settle(impatient=False)
    assert await asha.orders() == []
    assert (await asha.store())["status"] == "connected"
    await asha.settle()
    assert (await asha.order(shipment))["state"] == "ready"


async def test_packing_answered_with_a_page_of_html_packs_once(world: World, asha: FlipkartSeller):
    there, order = await asha.place()
    lost = NewFault(vendor="flipkart", operation="shipments.pack", kind=FaultKind.unavailable_after)
    world.desk.add_fault(lost)
    parcel = await asha.book(order)
    assert (parcel["state"], parcel["awb"]) == ("pickup_pending", asha.there(there.id).awb)
    assert len(await asha.at_api.shipments(order_id=order["id"])) == 1


@pytest.mark.parametrize("how", ["the refresh is refused", "the fresh token is refused as well"])
async def test_access_withdrawn_asks_the_seller_to_sign_in_again_and_nothing_is_missed(
    asha: FlipkartSeller, how, monkeypatch
):
    shipment = unseen(asha)
    if how == "the refresh is refused":
        asha.desk.revoke(asha.id)
    else:
        monkeypatch.setattr(oauth, "bearer", dead)
    await asha.at_api.post(f"/integrations/flipkart/stores/{asha.store_id}/sync/orders")
    await asha.settle()
    assert (await asha.store())["status"] == "disconnected"
    assert await asha.orders() == []
    calls = asha.desk.stats().traffic[asha.id].requests
    await asha.at_api.refused("POST", f"/integrations/flipkart/stores/{asha.store_id}/sync/orders", status=409)
    assert asha.desk.stats().traffic[asha.id].requests == calls

    monkeypatch.undo()
    consent = await asha.at_api.send("GET", "/integrations/flipkart/install", shop=asha.id)
    back = await asha.at_api.http.get(asha.desk.approve(consent.headers["location"], asha.id))
    assert back.json()["id"] == str(asha.store_id)
    await asha.settle()
    assert (await asha.store())["status"] == "connected"
    assert (await asha.order(shipment))["state"] == "ready"


async def test_an_event_nobody_knows_is_kept_and_moves_nothing(asha: FlipkartSeller):
    there, order = await asha.place()
    body = said("shipment_teleported", there.id)
    assert (await asha.posted(body, signed(asha, body))).status_code == 200
    await asha.settle()
    newest = (await asha.deliveries())[0]
    assert (newest["topic"], newest["outcome"]) == ("shipment_teleported", "ignored")
    assert await asha.order(there.id) == order


async def test_a_state_nobody_knows_is_kept_and_ships_nothing(asha: FlipkartSeller, monkeypatch):
    there, order = await asha.place()
    honest = wire.shipment

    def strange(*given, **more):
        told = honest(*given, **more)
        for item in told["orderItems"]:
            item["status"] = "QUANTUM_LEAP"
        return told

    monkeypatch.setattr(wire, "shipment", strange)
    asha.desk.change_dates(asha.id, there.id, Dates())
    await asha.settle()
    now = await asha.order(there.id)
    assert now["source_state"] == "attention"
    assert now["state"] == "pending"
    await asha.at_api.refused("POST", "/quotes", {"order_id": order["id"]}, status=422)
    monkeypatch.undo()
    asha.desk.change_dates(asha.id, there.id, Dates())
    await asha.sweep()  # the same event within the same second is the same news; reading the store makes up for it
    assert (await asha.order(there.id))["state"] == "ready"
