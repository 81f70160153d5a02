"""What the seller ships itself, and what comes back."""

from datetime import timedelta

import pytest

from shipcrowd.kernel import clock
from shipcrowd.sandbox.flipkart import wire
from shipcrowd.sandbox.flipkart.schemas import Kind, KnobChange, NewItem, NewReturn, NotificationTarget, ReturnSource
from shipcrowd.sandbox.refusals import NotPossible

LINES = (NewItem(sku="BOT-1L-BLU", quantity=2), NewItem(sku="CHAI-250"))


def at(days=0):
    return wire.moment(clock.now() + timedelta(days=days))


def leaving(made, **changes):
    return {
        "shipmentId": made.id,
        "locationId": made.location_id,
        "dispatchDate": at(),
        "tentativeDeliveryDate": at(4),
        "deliveryPartner": "Delhivery",
        "deliveryPartnerCode": "DELHIVERY",
        "trackingId": "1490812345678",
        "invoice": {
            "invoiceNumber": "INV/1",
            "invoiceDate": "2026-11-21",
            "items": [{"orderItemId": item.id, "quantity": item.quantity} for item in made.items],
        },
        **changes,
    }


async def send(flipkart, verb, *entries):
    return (await flipkart.post(f"/v3/shipments/selfShip/{verb}", {"shipments": list(entries)}))["shipments"]


@pytest.fixture
def own(place):
    return place(kind=Kind.self_ship, silent=True)


@pytest.fixture
async def sent(flipkart, own):
    (row,) = await send(flipkart, "dispatch", leaving(own))
    assert row["processingStatus"] == "SUCCESS", row
    return own


async def test_the_seller_tells_that_it_left_and_that_it_arrived(flipkart, own, fk, desk, receiver):
    fk.notify(flipkart.seller.id, NotificationTarget(url="https://app.example/n"))
    assert await send(flipkart, "dispatch", leaving(own)) == [
        {"shipmentId": own.id, "processingStatus": "SUCCESS", "errorCode": None, "errorMessage": None}
    ]
    told = (await flipkart.get(f"/v3/shipments/{own.id}"))["shipments"][0]["subShipments"][0]["courierDetails"]
    assert told["deliveryDetails"] == {"trackingId": "1490812345678", "vendorName": "Delhivery"}
    assert await flipkart.found("postDispatch") == [own.id]
    with pytest.raises(NotPossible):
        fk.move(flipkart.seller.id, own.id)
    entry = {"shipmentId": own.id, "locationId": own.location_id, "deliveryDate": at()}
    assert (await send(flipkart, "delivery", entry))[0]["errorCode"] is None
    assert (await send(flipkart, "delivery", entry))[0]["errorCode"] == "INVALID_ITEM_STATE"
    await desk.drain()
    assert [one.json["eventType"] for one in receiver.received] == ["shipment_shipped", "shipment_delivered"]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"dispatchDate": at(2)}, "INVALID_REQUEST_JSON"),
        ({"tentativeDeliveryDate": at(-2)}, "INVALID_REQUEST_JSON"),
        ({"dispatchDate": "today"}, "INVALID_REQUEST_DATE_FORMAT"),
        ({"trackingId": "x"}, "INVALID_REQUEST_JSON"),
        ({"trackingId": "AWB 1490812"}, "INVALID_REQUEST_JSON"),
        ({"deliveryPartnerCode": None}, "INVALID_REQUEST_JSON"),
        ({"deliveryPartnerCode": "MY-UNCLE"}, "INVALID_REQUEST_JSON"),
        ({"deliveryPartner": ""}, "INVALID_REQUEST_JSON"),
        ({"invoice": None}, "INVALID_REQUEST_JSON"),
        ({"invoice": {"invoiceNumber": "I", "invoiceDate": "2026-11-21", "items": []}}, "QUANTITY_MISMATCH_ERROR"),
        ({"locationId": "LOCelse"}, "INVALID_SHIPMENTS"),
    ],
)
async def test_a_wrong_dispatch_changes_nothing(flipkart, own, fk, wrong, code):
    assert (await send(flipkart, "dispatch", leaving(own, **wrong)))[0]["errorCode"] == code
    shown = fk.shipment(flipkart.seller.id, own.id)
    assert (shown.status, shown.awb) == ("APPROVED", None)


async def test_only_self_ship_is_sent_so_and_only_once(flipkart, place, sent, fk):
    standard, gone = place(), place(kind=Kind.self_ship)
    fk.cancel(flipkart.seller.id, gone.id)
    held = place(kind=Kind.self_ship)
    fk.hold(flipkart.seller.id, held.id)
    rows = await send(flipkart, "dispatch", *(leaving(one) for one in (standard, sent, gone, held)))
    assert [row["errorCode"] for row in rows] == [
        "OPERATION_NOT_ALLOWED",
        "ORDER_ITEM_ALREADY_DISPATCHED",
        "ORDER_ITEM_ALREADY_CANCELLED",
        "OPERATION_NOT_ALLOWED",
    ]


async def test_attempts_and_changes_of_number_and_date(flipkart, sent, fk):
    entry = {"shipmentId": sent.id, "locationId": sent.location_id}
    assert (await send(flipkart, "deliveryAttempt", entry))[0]["errorCode"] == "INVALID_REQUEST_JSON"
    why = {"reason": "CUSTOMER_NOT_AVAILABLE", "subReason": "", "newDeliveryDate": at(-3)}
    past = await send(flipkart, "deliveryAttempt", {**entry, "failureAttributes": why})
    assert past[0]["processingStatus"] == "FAILURE"
    why["newDeliveryDate"] = at(2)
    done = await send(flipkart, "deliveryAttempt", {**entry, "failureAttributes": why})
    assert done[0]["processingStatus"] == "SUCCESS"
    assert len(fk.world.sellers[flipkart.seller.id].shipments[sent.id].attempts) == 1
    change = {"shipment_id": sent.id, "tracking_id": "NEW12345", "delivery_partner": "Other"}
    answer = await flipkart.post(f"/v3/shipments/{sent.id}/update", change)
    assert answer["processingStatus"] == "SUCCESS"
    assert fk.shipment(flipkart.seller.id, sent.id).awb == "NEW12345"
    camel = await flipkart.call("POST", f"/v3/shipments/{sent.id}/update", {"shipmentId": sent.id})
    assert camel.status_code == 400
    late = await flipkart.post(f"/v3/shipments/{sent.id}/update", {**change, "tentative_delivery_date": at(-5)})
    assert late["processingStatus"] == "FAILURE"


async def test_at_most_a_hundred_a_call(flipkart, own):
    body = {"shipments": [leaving(own)] * 101}
    assert (await flipkart.call("POST", "/v3/shipments/selfShip/dispatch", body)).status_code == 400


# --- returns --------------------------------------------------------------------------------------------------


@pytest.fixture
def delivered(flipkart, fk, place):
    def made(**new):
        shipment = place(**{"items": LINES, "silent": True, **new})
        inside = fk.world.sellers[flipkart.seller.id].shipments[shipment.id]
        inside.awb, inside.courier = "FMPC0000000001", "E-Kart Logistics"
        for item in inside.items:
            item.status = "DELIVERED"
        return shipment

    return made


async def search(flipkart, source="customer_return", **query):
    return (await flipkart.get("/v2/returns", params={"source": source, **query}))["returnItems"]


async def test_a_buyer_returns_a_line_and_drivers_bring_it(flipkart, fk, delivered, desk, receiver):
    fk.notify(flipkart.seller.id, NotificationTarget(url="https://app.example/n"))
    seller, made = flipkart.seller.id, delivered()
    (opened,) = fk.open_return(seller, made.id, NewReturn(sku="BOT-1L-BLU", quantity=1))
    (told,) = await search(flipkart)
    assert (told["returnId"], told["shipmentId"], told["quantity"]) == (opened.id, made.id, 1)
    assert (told["type"], told["status"], told["trackingId"]) == ("customer_return", "created", None)
    assert isinstance(told["createdDate"], str)
    assert await search(flipkart, "courier_return") == []
    steps = [fk.move_return(seller, opened.id) for _ in range(3)]
    assert [one.shipment_status for one in steps] == ["OUT_FOR_PICKUP", "PICKED_UP", "DELIVERED"]
    assert steps[-1].status == "completed"
    with pytest.raises(NotPossible):
        fk.move_return(seller, opened.id)
    assert [item.status for item in fk.shipment(seller, made.id).items] == ["RETURNED", "DELIVERED"]
    await desk.drain()
    told = [one.json for one in receiver.received]
    assert [one["eventType"] for one in told] == [
        "return_created", "return_item_tracking_id_update", "return_picked_up", "return_completed"
    ]  # fmt: skip
    assert told[0]["returnId"] == opened.id
    assert told[0]["attributes"]["status"] == "RETURN_CREATED"
    assert told[0]["attributes"]["returnItems"][0]["source"] == "customer_return"
    assert told[3]["attributes"]["status"] == "RETURN_COMPLETED"


async def test_a_parcel_that_comes_back_is_a_return_for_each_line(flipkart, fk, delivered):
    seller, made = flipkart.seller.id, delivered()
    courier = NewReturn(source=ReturnSource.courier_return)
    with pytest.raises(NotPossible):
        fk.open_return(seller, made.id, courier)
    for item in fk.world.sellers[seller].shipments[made.id].items:
        item.status = "SHIPPED"
    opened = fk.open_return(seller, made.id, courier)
    assert len(opened) == 2
    with pytest.raises(NotPossible):
        fk.open_return(seller, made.id, courier)
    assert {line["courierReturn"] for line in (await flipkart.read(made))["orderItems"]} == {True}
    assert {one["trackingId"] for one in await search(flipkart, "courier_return")} == {"FMPC0000000001"}
    for one in opened:
        fk.move_return(seller, one.id)
        fk.move_return(seller, one.id)
    assert fk.shipment(seller, made.id).status == "RETURNED"


async def test_no_more_comes_back_than_was_sold(flipkart, fk, delivered):
    made = delivered()
    with pytest.raises(NotPossible):
        fk.open_return(flipkart.seller.id, made.id, NewReturn(quantity=3))
    fk.open_return(flipkart.seller.id, made.id, NewReturn(quantity=2))
    with pytest.raises(NotPossible):
        fk.open_return(flipkart.seller.id, made.id, NewReturn())


async def test_returns_are_paged_and_searched(flipkart, fk, delivered):
    seller = flipkart.seller.id
    first = [fk.open_return(seller, delivered().id, NewReturn())[0] for _ in range(27)]
    page = await flipkart.get("/v2/returns?source=customer_return")
    assert (page["hasMore"], len(page["returnItems"])) == (True, 25)
    assert page["nextUrl"].startswith("/returns/search/")
    for base in ("/v2", ""):
        rest = await flipkart.get(base + page["nextUrl"])
        assert (rest["hasMore"], rest["nextUrl"], len(rest["returnItems"])) == (False, None, 2)
    by_id = await flipkart.get(f"/v2/returns?returnIds={first[3].id}")
    assert [one["returnId"] for one in by_id["returnItems"]] == [first[3].id]
    assert await search(flipkart, createdAfter=at(1)) == []
    assert len(await search(flipkart, modifiedAfter=at(-1), modifiedBefore=at(1))) == 25
    assert await search(flipkart, locationId=flipkart.seller.locations[1].id) == []
    ids = ",".join(str(n) for n in range(26))
    for bad in ("/v2/returns", "/v2/returns?source=all", f"/v2/returns?returnIds={ids}", "/v2/returns/search/abc"):
        assert (await flipkart.call("GET", bad)).status_code == 400


async def act(flipkart, verb, it, **changes):
    told = (await flipkart.get(f"/v2/returns?returnIds={it.id}"))["returnItems"][0]
    entry = {
        "returnId": it.id,
        "serviceFulfilmentId": told["services"][0]["serviceFulfilmentId"],
        "serviceDate": at(),
        **changes,
    }
    body = {"returns": [entry], "locationId": told["locationId"]}
    return (await flipkart.post(f"/v2/returns/{verb}", body))["returns"][0]["errorCode"]


async def test_a_seller_who_ships_itself_fetches_returns_itself(flipkart, fk, delivered, place):
    seller, made = flipkart.seller.id, delivered(kind=Kind.self_ship)
    (it,) = fk.open_return(seller, made.id)
    with pytest.raises(NotPossible):
        fk.move_return(seller, it.id)
    assert await act(flipkart, "pickup", it) == "INVALID_ITEM_STATE"
    assert await act(flipkart, "approve", it, serviceFulfilmentId="x") == "INVALID_REQUEST_ITEM_ID"
    assert await act(flipkart, "approve", it) is None
    assert await act(flipkart, "reject", it) == "INVALID_ITEM_STATE"
    assert await act(flipkart, "pickupAttempt", it) is None
    assert await act(flipkart, "pickup", it, serviceDate=None) == "INVALID_REQUEST_DATE_FORMAT"
    assert await act(flipkart, "complete", it) == "INVALID_ITEM_STATE"
    assert await act(flipkart, "pickup", it) is None
    assert await act(flipkart, "cancel", it) == "INVALID_ITEM_STATE"
    assert await act(flipkart, "complete", it) is None
    assert [one.status for one in fk.returns(seller)] == ["completed"]


async def test_a_return_can_be_rejected_or_cancelled_and_the_buyer_keeps_it(flipkart, fk, delivered):
    seller = flipkart.seller.id
    (rejected,) = fk.open_return(seller, delivered(kind=Kind.self_ship).id)
    (cancelled,) = fk.open_return(seller, delivered().id)
    assert await act(flipkart, "reject", rejected) is None
    assert await act(flipkart, "approve", cancelled) == "OPERATION_NOT_ALLOWED"
    assert fk.expect_return(seller, cancelled.id, 3).status == "created"
    assert fk.cancel_return(seller, cancelled.id).status == "cancelled"
    assert [one.status for one in fk.returns(seller)] == ["rejected", "cancelled"]
    assert fk.stats().returns_by_status == {"rejected": 1, "cancelled": 1}
    body = {"returns": [{"returnId": "nobody"}], "locationId": flipkart.location}
    row = (await flipkart.post("/v2/returns/approve", body))["returns"][0]
    assert row == {
        "returnId": "nobody",
        "processingStatus": "FAILURE",
        "errorCode": "INVALID_REQUEST_ITEM_ID",
        "errorMessage": "Return not found at this location",
    }


async def test_partner_codes_can_be_widened(flipkart, own, fk):
    fk.set_knobs(KnobChange(partner_codes=("XPRESSBEES",)))
    (row,) = await send(flipkart, "dispatch", leaving(own, deliveryPartnerCode="XPRESSBEES"))
    assert row["processingStatus"] == "SUCCESS"
