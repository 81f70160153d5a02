"""Notifications of the stand-in for Flipkart: words, order, and both signatures."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
import time_machine

from shipcrowd.kernel import clock
from shipcrowd.sandbox.flipkart import notices
from shipcrowd.sandbox.flipkart.schemas import Cancellation, Dates, Kind, NewItem, NotificationTarget
from shipcrowd.sandbox.refusals import NotPossible
from shipcrowd.sandbox.schemas import Knobs

URL = "https://app.example/flipkart/notify"


@pytest.fixture
def told(fk, flipkart, desk, receiver):
    """Register a target; then: the events that arrived."""

    def register(**target):
        fk.notify(flipkart.seller.id, NotificationTarget(url=URL, **target))

    async def events(names=True):
        await desk.drain()
        return [one.json["eventType"] if names else one.json for one in receiver.received]

    events.register = register
    register()
    return events


def test_the_documented_signature_verifies():
    at = datetime(2015, 5, 19, 9, 2, 15, tzinfo=UTC)
    hashed = notices.fklogin_hash(
        "669a57f4-fe05-11e4-a322-1697f925ec7b", "http://seller.api.pilotseller.com/notify/fki", at
    )
    assert hashed == "83762abd87b41e66ddd58320a4e803251e72b776"


async def test_an_order_is_announced_whole_and_signed_over_the_registered_address(told, place, receiver, desk):
    made = place(items=(NewItem(sku="BOT-1L-BLU", quantity=2),))
    (body,) = await told(names=False)
    assert body["eventType"] == "shipment_created"
    assert (body["source"], body["version"], body["shipmentId"]) == ("flipkart", "v3", made.id)
    assert body["locationId"] == made.location_id
    assert body["timestamp"].endswith("+05:30")
    assert body["attributes"]["orderItems"][0]["quantity"] == 2
    headers = receiver.received[0].headers
    scheme, token = headers["x_authorization"].split()
    app_id, hashed = base64.b64decode(token).decode().split(":")
    at = parsedate_to_datetime(headers["x_date"])
    signed = f"{int(at.timestamp())}{URL}POST{desk.credentials.flipkart_app_secret}"
    assert (scheme, app_id) == ("FKLOGIN", desk.credentials.flipkart_app_id)
    assert hashed == hashlib.sha1(signed.encode()).hexdigest()
    assert "x-flipkart-signature" not in headers


async def test_the_sellers_own_application_can_sign(told, place, receiver, flipkart):
    told.register(own_app=True, hyphens=True)
    place()
    await told()
    token = receiver.received[0].headers["x-authorization"].split()[1]
    assert base64.b64decode(token).decode().startswith(flipkart.seller.app_id + ":")


@pytest.mark.parametrize("way", ["hex", "base64", "prefixed"])
async def test_the_body_can_be_signed_with_a_shared_secret(told, place, receiver, way):
    told.register(signing="hmac", secret="hush", hmac_as=way)
    place()
    await told()
    (got,) = receiver.received
    digest = hmac.new(b"hush", got.body, hashlib.sha256).digest()
    expected = {"hex": digest.hex(), "base64": base64.b64encode(digest).decode(), "prefixed": "sha256=" + digest.hex()}
    assert got.headers["x-flipkart-signature"] == expected[way]
    assert "x_authorization" not in got.headers


async def test_topics_and_routes_of_the_other_description(told, place, fk, flipkart, desk):
    told.register(signing="both", secret="hush", words="topics", routes=True)
    made = place()
    fk.cancel(flipkart.seller.id, made.id)
    assert await told() == ["order.created", "order.cancelled"]
    assert [one.url for one in desk.postman.log] == [URL + "/order-placed", URL + "/order-cancelled"]


async def test_holds_dates_and_partial_cancellations_are_told_in_their_own_words(told, place, fk, flipkart):
    seller = flipkart.seller.id
    made = place(items=(NewItem(sku="BOT-1L-BLU", quantity=3),))
    fk.hold(seller, made.id)
    fk.release(seller, made.id)
    fk.change_dates(seller, made.id, Dates(dispatch_by=clock.now() + timedelta(days=1)))
    fk.cancel(seller, made.id, Cancellation(quantities={"BOT-1L-BLU": 1}, reason="changed_mind", sub_reason="colour"))
    _, held, released, dates, cancelled = await told(names=False)
    assert held["attributes"] == {"orderItems": [{"orderItemId": made.items[0].id, "holdQuantity": 3}]}
    assert "locationId" not in held
    assert released["attributes"] == {"status": "APPROVED"}
    assert set(dates["attributes"]) == {"dispatchAfterDate", "dispatchByDate"}
    assert cancelled["attributes"]["orderItems"] == [
        {"orderItemId": made.items[0].id, "quantity": 1, "reason": "changed_mind", "subReason": "colour"}
    ]


async def test_a_partly_cancelled_order_and_a_silent_one(told, place):
    made = place(kind=Kind.partly_cancelled)
    place(silent=True)
    assert await told() == ["shipment_created", "shipment_cancelled"]
    assert made.status == "APPROVED"


async def test_a_refused_notification_blocks_its_group_and_no_other(told, place, fk, flipkart, receiver, desk):
    seller = flipkart.seller.id
    with time_machine.travel(clock.now(), tick=False) as traveller:
        receiver.answers = [202]  # no error, and not the 200 Flipkart wants
        stuck = place()
        fk.hold(seller, stuck.id)
        await desk.drain()
        other = place()
        assert await told() == ["shipment_created", "shipment_created"]
        assert receiver.received[1].json["shipmentId"] == other.id
        for _ in range(20):  # it is never given up
            receiver.answers = [503]
            traveller.shift(timedelta(hours=1))
            await desk.drain()
        assert desk.postman.waiting() == 2
        traveller.shift(timedelta(hours=1))
        assert (await told())[-2:] == ["shipment_created", "shipment_hold"]
        assert desk.postman.waiting() == 0


async def test_notifications_are_doubled_lost_and_overtaken_on_demand(told, place, fk, flipkart, desk):
    seller = flipkart.seller.id
    desk.set_knobs(Knobs(duplicate=1))
    place()
    assert await told() == ["shipment_created"] * 2
    desk.set_knobs(Knobs(duplicate=0, reorder=1))
    made = place()
    desk.set_knobs(Knobs(reorder=0))
    fk.hold(seller, made.id)
    assert (await told())[2:] == ["shipment_hold", "shipment_created"]
    desk.set_knobs(Knobs(lose=1))
    place()
    assert len(await told()) == 4
    desk.set_knobs(Knobs(lose=0))
    fk.resend(seller, made.id)
    assert len(await told()) == 5


async def test_notifications_go_only_to_this_machine(fk, flipkart):
    with pytest.raises(NotPossible):
        fk.notify(flipkart.seller.id, NotificationTarget(url="https://elsewhere.example/x"))
    fk.notify(flipkart.seller.id, None)
