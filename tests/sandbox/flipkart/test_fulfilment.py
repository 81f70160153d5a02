"""Packing, papers, dispatch, hand-over and cancelling at the stand-in for Flipkart."""

import io
from datetime import timedelta

import pytest
import time_machine
from pypdf import PdfReader

from shipcrowd.kernel import clock
from shipcrowd.sandbox.flipkart.schemas import Kind, KnobChange, NewItem, NotificationTarget, RefuseItem
from shipcrowd.sandbox.refusals import NotPossible

TWO = (NewItem(sku="BOT-1L-BLU", quantity=3, group=1), NewItem(sku="CHAI-250", group=1), NewItem(sku="MAT-YOGA"))


@pytest.fixture
def later():
    """A clock that stands still until a test moves it."""
    with time_machine.travel(clock.now(), tick=False) as traveller:
        yield lambda **by: traveller.shift(timedelta(**by))


@pytest.fixture
async def packed(flipkart, place, fk):
    async def made(count=1, **new):
        fk.set_knobs(KnobChange(pack_seconds=0))
        shipments = [place(**new) for _ in range(count)]
        assert all(row["status"] == "SUCCESS" for row in await flipkart.pack(*shipments))
        return [fk.shipment(flipkart.seller.id, one.id) for one in shipments]

    return made


async def dispatch(flipkart, *shipments):
    body = {"shipmentIds": [one.id for one in shipments], "locationId": flipkart.location}
    return (await flipkart.post("/v3/shipments/dispatch", body))["shipments"]


async def pages(flipkart, method, path, **more):
    reply = await flipkart.call(method, path, **more)
    assert reply.status_code == 200, reply.text
    assert reply.content.startswith(b"%PDF-")
    return [page.extract_text() for page in PdfReader(io.BytesIO(reply.content)).pages]


def errors(rows):
    return [row["errorCode"] for row in rows]


async def test_packing_takes_a_while_and_then_there_is_a_number(flipkart, place, fk, later):
    made = place(kind=Kind.standard_cod)
    assert await flipkart.pack(made) == [
        {"shipmentId": made.id, "status": "SUCCESS", "errorCode": None, "errorMessage": None}
    ]
    assert (await flipkart.read(made))["orderItems"][0]["status"] == "PACKING_IN_PROGRESS"
    assert (await flipkart.call("GET", f"/v3/shipments/{made.id}/labels")).status_code == 422
    assert (await flipkart.get(f"/v3/shipments/{made.id}"))["shipments"][0]["subShipments"][0]["courierDetails"] is None
    later(seconds=4)
    assert fk.shipment(flipkart.seller.id, made.id).status == "PACKING_IN_PROGRESS"
    later(seconds=1)
    assert (await flipkart.read(made))["orderItems"][0]["status"] == "PACKED"
    told = (await flipkart.get(f"/v3/shipments/{made.id}"))["shipments"][0]
    courier = told["subShipments"][0]["courierDetails"]["deliveryDetails"]
    assert courier["trackingId"].startswith("FMPC")
    assert courier["vendorName"] == "E-Kart Logistics"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"locationId": "LOCelse"}, "INVALID_SHIPMENTS"),
        ({"shipmentId": "nobody"}, "INVALID_SHIPMENTS"),
        ({"taxItems": []}, "INVALID_REQUEST_TAX"),
        ({"taxItems": [{"orderItemId": "x", "quantity": 1, "taxRate": 5}]}, "INVALID_REQUEST_ITEM_ID"),
        ({"invoices": [{"orderId": "OD-else", "invoiceDate": "2026-11-20"}]}, "INVALID_REQUEST_JSON"),
        ({"subShipments": []}, "INVALID_REQUEST_JSON"),
        ({"subShipments": [{"subShipmentId": "SS-1", "dimensions": {"length": 0}}]}, "INVALID_REQUEST_JSON"),
    ],
)
async def test_what_is_wrong_with_one_shipment_fails_inside_a_200_and_packs_the_rest(
    flipkart, place, wrong, code, later
):
    bad, good = place(), place()
    body = {"shipments": [flipkart.pack_body(bad, **wrong), flipkart.pack_body(good)]}
    rows = (await flipkart.post("/v3/shipments/labels", body))["shipments"]
    assert errors(rows) == [code, None]
    assert [row["status"] for row in rows] == ["FAILURE", "SUCCESS"]
    assert (await flipkart.read(bad))["orderItems"][0]["status"] == "APPROVED"
    assert (await flipkart.read(good))["orderItems"][0]["status"] == "PACKING_IN_PROGRESS"


async def test_quantities_and_dates_are_checked(flipkart, place):
    made = place()
    item = made.items[0]
    tax = [{"orderItemId": item.id, "quantity": item.quantity + 1, "taxRate": 18.0}]
    assert errors(await flipkart.pack(made, taxItems=tax)) == ["QUANTITY_MISMATCH_ERROR"]
    tax = [{"orderItemId": item.id, "quantity": item.quantity}]
    assert errors(await flipkart.pack(made, taxItems=tax)) == ["INVALID_REQUEST_TAX"]
    invoices = [{"orderId": made.order_id, "invoiceDate": "20-11-2026"}]
    assert errors(await flipkart.pack(made, invoices=invoices)) == ["INVALID_REQUEST_DATE_FORMAT"]
    early = place(dispatch_after=clock.now() + timedelta(hours=2))
    assert errors(await flipkart.pack(early)) == ["OPERATION_NOT_ALLOWED"]


@pytest.mark.parametrize("kind", [Kind.on_hold, Kind.self_ship, Kind.fbf])
async def test_what_the_seller_may_not_pack(flipkart, place, kind):
    assert errors(await flipkart.pack(place(kind=kind))) == ["OPERATION_NOT_ALLOWED"]


async def test_cancelled_or_packed_shipments_are_not_packed(flipkart, place, fk, packed):
    gone = place()
    fk.cancel(flipkart.seller.id, gone.id)
    (done,) = await packed()
    assert errors(await flipkart.pack(gone, done, taxItems=[])) == ["OPERATION_NOT_ALLOWED"] * 2


async def test_at_most_twenty_five_a_call(flipkart, place):
    body = {"shipments": [flipkart.pack_body(place()) for _ in range(26)]}
    assert (await flipkart.call("POST", "/v3/shipments/labels", body)).status_code == 400
    assert (await flipkart.call("POST", "/v3/shipments/labels", {"shipments": []})).status_code == 400
    assert (await flipkart.call("POST", "/v3/shipments/labels", {})).status_code == 400
    assert len(await flipkart.found(states=["APPROVED"])) == 26


async def test_a_write_to_one_shipment_can_be_refused_on_demand(flipkart, place, fk):
    made = place()
    fk.refuse(flipkart.seller.id, made.id, RefuseItem(times=1))
    assert errors(await flipkart.pack(made)) == ["DEPENDENT_SYSTEM_CALL_FAILED"]
    assert errors(await flipkart.pack(made)) == [None]


async def test_the_other_dialect_calls_the_outcome_otherwise(flipkart, place, fk):
    fk.set_knobs(KnobChange(dialect="other"))
    (row,) = await flipkart.pack(place())
    assert row["processingStatus"] == "SUCCESS"


async def test_a_form_stops_packing_until_it_is_acknowledged(flipkart, fk, place, later, desk, receiver):
    fk.notify(flipkart.seller.id, NotificationTarget(url="https://app.example/n"))
    made = place(form="KER_FORM", silent=True)
    await flipkart.pack(made)
    later(seconds=5)
    assert fk.shipment(flipkart.seller.id, made.id).status == "FORM_FAILED"
    assert await flipkart.found(states=["FORM_FAILED"]) == [made.id]
    assert "KER_FORM" in (await pages(flipkart, "GET", f"/v3/shipments/{made.id}/forms"))[0]
    body = {"shipments": [{"shipmentId": made.id, "forms": [{"name": "KER_FORM"}]}]}
    assert errors((await flipkart.post("/v3/shipments/forms/updateAck", body))["shipments"]) == ["INVALID_REQUEST_JSON"]
    body["shipments"][0]["forms"][0]["ackNumber"] = "ACK-1"
    assert errors((await flipkart.post("/v3/shipments/forms/updateAck", body))["shipments"]) == [None]
    later(seconds=5)
    assert fk.shipment(flipkart.seller.id, made.id).status == "PACKED"
    await desk.drain()
    told = [one.json for one in receiver.received]
    assert [one["eventType"] for one in told] == ["shipment_form_failed", "shipment_packed"]
    assert told[0]["attributes"] == {"status": "FORM_FAILED", "forms": ["KER_FORM"]}
    assert told[1]["attributes"] == {"status": "PACKED"}
    assert (await flipkart.call("GET", f"/v3/shipments/{place().id}/forms")).status_code == 404


async def test_packing_can_fail_by_chance(flipkart, fk, place):
    fk.set_knobs(KnobChange(pack_seconds=0, pack_fails=1))
    made = place()
    await flipkart.pack(made)
    assert fk.shipment(flipkart.seller.id, made.id).status == "FORM_FAILED"


async def test_labels_and_invoices_are_real_pdfs(flipkart, packed):
    one, two = await packed(2, kind=Kind.standard_cod)
    both = await pages(flipkart, "GET", f"/v3/shipments/{one.id},{two.id}/labels")
    assert len(both) == 4
    assert one.awb in both[0]
    assert f"COD Rs {one.to_collect}" in " ".join(both[0].split())
    assert "TAX INVOICE" in both[1]
    alone = await pages(flipkart, "POST", f"/v3/shipments/{one.id}/labelOnly/pdf")
    assert len(alone) == 1
    raw = await flipkart.call("POST", f"/v3/shipments/{one.id}/labelOnly")
    assert raw.headers["content-type"] == "application/octet-stream"
    invoice = await pages(flipkart, "GET", f"/v3/shipments/{one.id}/invoices", headers={"Accept": "application/pdf"})
    assert "INV/26-27/000123" in invoice[0]
    (told,) = (await flipkart.get(f"/v3/shipments/{one.id}/invoices", headers={"Accept": "application/json"}))[
        "invoices"
    ]
    (line,) = told["orderItems"]
    rates = line["taxDetails"]
    assert rates["cgstRate"] + rates["sgstRate"] + rates["igstRate"] == line["taxRate"] == 18.0
    unknown = await flipkart.call("GET", f"/v3/shipments/{one.id},nobody/labels")
    assert unknown.status_code == 404


async def test_a_label_says_how_long_it_is_good_and_can_be_printed_again(flipkart, packed, fk, later):
    fk.set_knobs(KnobChange(expire_labels=True, label_hours=24))
    (made,) = await packed()
    assert made.label_until == clock.now() + timedelta(hours=24)
    later(hours=22)
    assert (await flipkart.call("GET", f"/v3/shipments/{made.id}/labels")).status_code == 200
    later(hours=24)
    assert (await flipkart.call("GET", f"/v3/shipments/{made.id}/labels")).status_code == 422
    await pages(flipkart, "POST", f"/v3/shipments/{made.id}/labelOnly/pdf?reprint=true")
    assert (await flipkart.call("GET", f"/v3/shipments/{made.id}/labels")).status_code == 200
    assert fk.shipment(flipkart.seller.id, made.id).label_until == clock.now() + timedelta(hours=24)


async def test_dispatch_hand_over_and_the_way_to_the_buyer(flipkart, packed, place, fk, desk, receiver):
    fk.notify(flipkart.seller.id, NotificationTarget(url="https://app.example/n"))
    one, two = await packed(2, items=(NewItem(sku="BOT-1L-BLU", quantity=2),), silent=True)
    fresh = place(silent=True)
    stock = {it.sku: it for it in fk.listings(flipkart.seller.id)}["BOT-1L-BLU"]
    assert stock.stock[flipkart.location] == 100
    assert stock.pending[flipkart.location] >= 4
    assert errors(await dispatch(flipkart, one, fresh)) == [None, "ORDER_ITEM_NOT_PACKED"]
    assert errors(await dispatch(flipkart, one, two)) == ["ORDER_ITEM_ALREADY_DISPATCHED", None]
    after = {it.sku: it for it in fk.listings(flipkart.seller.id)}["BOT-1L-BLU"]
    assert after.stock[flipkart.location] == 96
    counts = await flipkart.get(f"/v3/shipments/handover/counts?locationId={flipkart.location}")
    assert [(row["vendorGroupCode"], row["count"], row["isMps"]) for row in counts] == [("Ekart Logistics", 2, False)]
    assert len(counts[0]["otc"]["code"]) == 4
    params = {"vendorGroupCode": "Ekart Logistics", "locationId": flipkart.location, "isMps": False}
    reply = await flipkart.call("POST", "/v3/shipments/manifest", {"params": params})
    text = PdfReader(io.BytesIO(reply.content)).pages[0].extract_text()
    assert one.awb in text
    assert two.awb in text
    path = [fk.move(flipkart.seller.id, one.id).status for _ in range(4)]
    assert path == ["PICKUP_COMPLETE", "SHIPPED", "DELIVERED", "COMPLETED"]
    with pytest.raises(NotPossible):
        fk.move(flipkart.seller.id, one.id)
    assert fk.move_all(flipkart.seller.id) == 1
    await desk.drain()
    told = [it.json["eventType"] for it in receiver.received if it.json["shipmentId"] == one.id]
    steps = ("packed", "ready_to_dispatch", "pickup_complete", "shipped", "delivered")
    assert told == [f"shipment_{step}" for step in steps]


async def test_a_packed_shipment_on_hold_is_not_dispatched_until_it_is_released(flipkart, packed, fk, desk, receiver):
    fk.notify(flipkart.seller.id, NotificationTarget(url="https://app.example/n"))
    (made,) = await packed(silent=True)
    fk.hold(flipkart.seller.id, made.id)
    assert errors(await dispatch(flipkart, made)) == ["OPERATION_NOT_ALLOWED"]
    assert errors(await dispatch(flipkart, made.model_copy(update={"id": "nobody"}))) == ["INVALID_SHIPMENTS"]
    fk.release(flipkart.seller.id, made.id)
    assert errors(await dispatch(flipkart, made)) == [None]
    await desk.drain()
    told = [one.json for one in receiver.received]
    assert [one["attributes"].get("status") for one in told] == ["PACKED", None, "PACKED", "READY_TO_DISPATCH"]


async def test_hand_over_counts_in_the_other_dialect_and_bad_questions(flipkart, packed, fk):
    (made,) = await packed()
    await dispatch(flipkart, made)
    fk.set_knobs(KnobChange(dialect="other", otc_unavailable=True))
    told = await flipkart.get(f"/v3/shipments/handover/counts?locationId={flipkart.location}")
    (row,) = told["resultManifestDetails"]
    assert set(row["pickUpDate"]) == {"after", "before"}
    assert row["otc"] == {"code": None, "error_code": "OTC_UNAVAILABLE"}
    assert (await flipkart.call("GET", "/v3/shipments/handover/counts")).status_code == 400
    for params in (
        {"vendorGroupCode": "Ekart Logistics", "locationId": flipkart.location, "isMps": True},
        {"vendorGroupCode": "Nobody", "locationId": flipkart.location},
        {"vendorGroupCode": "Ekart Logistics"},
    ):
        assert (await flipkart.call("POST", "/v3/shipments/manifest", {"params": params})).status_code == 400
    empty = {"vendorGroupCode": "Ekart Logistics", "locationId": flipkart.seller.locations[1].id}
    assert (await flipkart.call("POST", "/v3/shipments/manifest", {"params": empty})).status_code == 422


async def test_locations_and_the_code_for_returned_goods(flipkart):
    told = await flipkart.get("/locations/allLocations")
    assert [one["locationId"] for one in told] == [one.id for one in flipkart.seller.locations]
    code = await flipkart.get(f"/v3/shipments/otc/{flipkart.location}?requestType=RETURN")
    assert code["code"].isdigit()


def cancellation(flipkart, made, *groups, reason="not_enough_inventory"):
    row = {
        "shipmentId": made.id,
        "locationId": made.location_id,
        "reason": reason,
        "cancellationGroupIds": list(groups),
    }
    return {"shipments": [row]}


async def groups(flipkart, made):
    return [line["cancellationGroupId"] for line in (await flipkart.read(made))["orderItems"]]


async def test_a_seller_cancels_a_group_together_and_the_listing_goes_out_of_stock(flipkart, place, fk):
    made = place(items=TWO)
    first, second, third = await groups(flipkart, made)
    assert first == second != third
    rows = (await flipkart.post("/v3/shipments/cancel", cancellation(flipkart, made, first)))["shipments"]
    assert errors(rows) == [None]
    shown = fk.shipment(flipkart.seller.id, made.id)
    assert [item.status for item in shown.items] == ["CANCELLED", "CANCELLED", "APPROVED"]
    stock = {it.sku: it.stock[flipkart.location] for it in fk.listings(flipkart.seller.id)}
    assert (stock["BOT-1L-BLU"], stock["CHAI-250"], stock["MAT-YOGA"]) == (0, 0, 100)
    assert await flipkart.found("cancelled", cancellationType="sellerCancellation") == [made.id]
    again = (await flipkart.post("/v3/shipments/cancel", cancellation(flipkart, made, first)))["shipments"]
    assert errors(again) == ["ORDER_ITEM_ALREADY_CANCELLED"]


async def test_a_cancellation_needs_a_known_reason_and_its_own_groups(flipkart, place):
    made = place()
    (group,) = await groups(flipkart, made)
    for body, code in (
        (cancellation(flipkart, made, group, reason="mood"), "EMPTY_OR_INVALID_REASON_FOR_CANCELLATION"),
        (cancellation(flipkart, made), "INVALID_REQUEST_ITEM_ID"),
        (cancellation(flipkart, made, "grp-else"), "INVALID_REQUEST_ITEM_ID"),
    ):
        assert errors((await flipkart.post("/v3/shipments/cancel", body))["shipments"]) == [code]
    assert await flipkart.found() == [made.id]


async def test_after_packing_only_the_buyer_can_cancel(flipkart, packed, fk):
    (made,) = await packed()
    body = cancellation(flipkart, made, *await groups(flipkart, made))
    assert errors((await flipkart.post("/v3/shipments/cancel", body))["shipments"]) == ["OPERATION_NOT_ALLOWED"]
    assert fk.cancel(flipkart.seller.id, made.id).status == "CANCELLED"
    assert (await flipkart.call("GET", f"/v3/shipments/{made.id}/labels")).status_code == 422


async def test_what_is_cancelled_while_it_is_packed_stays_cancelled(flipkart, place, fk, later):
    made = place()
    await flipkart.pack(made)
    fk.cancel(flipkart.seller.id, made.id)
    later(seconds=60)
    assert fk.shipment(flipkart.seller.id, made.id).status == "CANCELLED"
