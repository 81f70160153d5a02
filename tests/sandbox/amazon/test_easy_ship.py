"""Easy Ship: slots that run out, the scheduled package, and the label's long way."""

import gzip
from xml.etree import ElementTree as ET

import pytest
from pypdf import PdfReader

from shipcrowd.sandbox.amazon.schemas import AmazonKnobChange, NewAmazonOrder, OrderKind
from shipcrowd.sandbox.refusals import NotPossible

SELLER = "A1INSELLER0001"
INDIA = "A21TJRUUN4KGV"
BASE = "/easyShip/2022-03-23"
SIZE = {"length": 20, "width": 15, "height": 10, "unit": "cm"}


@pytest.fixture
def placed(spapi, amazon):
    return amazon.place_order(SELLER, NewAmazonOrder(kind=OrderKind.easy_ship_cod))


def asked(order, **changes):
    weight = {"value": 420, "unit": "g"}
    body = {"marketplaceId": INDIA, "amazonOrderId": order.id, "packageDimensions": SIZE, "packageWeight": weight}
    return {**body, **changes}


async def slots(spapi, order):
    return (await spapi.post(f"{BASE}/timeSlot", asked(order)))["timeSlots"]


async def schedule(spapi, order, slot):
    body = {"amazonOrderId": order.id, "marketplaceId": INDIA, "packageDetails": {"packageTimeSlot": slot}}
    return await spapi.call("POST", f"{BASE}/package", body)


def code_of(reply):
    return reply.status_code, reply.json()["errors"][0]["code"]


async def test_an_order_is_scheduled_and_found_again(spapi, amazon, placed, desk, queue):
    await spapi.subscribe("ORDER_CHANGE")
    first, *others = await slots(spapi, placed)
    assert len(others) == 2
    reply = await schedule(spapi, placed, first)
    assert reply.status_code == 200, reply.text
    package = reply.json()
    assert package["packageStatus"] == "ReadyForPickup"
    assert package["trackingDetails"]["trackingId"]
    where = {"amazonOrderId": placed.id, "marketplaceId": INDIA}
    assert await spapi.get(f"{BASE}/package", **where) == package
    order = (await spapi.get(f"/orders/2026-01-01/orders/{placed.id}", includedData=["PACKAGES", "FULFILLMENT"]))[
        "order"
    ]
    assert order["programs"] == ["AMAZON_EASY_SHIP"]
    assert order["packages"][0]["packageStatus"] == {"status": "PENDING", "detailedStatus": "PENDING_PICK_UP"}
    assert order["fulfillment"]["fulfillmentStatus"] == "UNSHIPPED"
    assert code_of(await schedule(spapi, placed, first)) == (400, "ScheduledPackageAlreadyExists")
    await desk.drain()
    summary = queue.messages[-1]["Payload"]["OrderChangeNotification"]["Summary"]
    assert (summary["EasyShipShipmentStatus"], summary["ShippingPrograms"]) == ("PendingPickUp", ["EasyShip"])


async def test_an_offered_slot_runs_out(spapi, amazon, placed):
    first, *_ = await slots(spapi, placed)
    amazon.pass_time(900)
    assert code_of(await schedule(spapi, placed, first)) == (400, "ScheduleWindowExpired")
    assert amazon.order(placed.id) == placed
    again, *_ = await slots(spapi, placed)
    assert (await schedule(spapi, placed, again)).status_code == 200
    assert code_of(await schedule(spapi, placed, {"slotId": "AQnever"}))[1] == "ScheduledPackageAlreadyExists"


async def test_slots_belong_to_an_order(spapi, amazon, placed):
    other = amazon.place_order(SELLER, NewAmazonOrder(kind=OrderKind.easy_ship))
    first, *_ = await slots(spapi, other)
    assert code_of(await schedule(spapi, placed, first)) == (400, "InvalidTimeSlotId")
    assert code_of(await schedule(spapi, placed, {"slotId": "AQnever"})) == (400, "InvalidTimeSlotId")


@pytest.mark.parametrize(
    "changes",
    [
        {"packageWeight": {"value": 10, "unit": "g"}},
        {"packageDimensions": {**SIZE, "unit": "inches"}},
        {"packageDimensions": {**SIZE, "height": 0}},
        {"amazonOrderId": ""},
    ],
)
async def test_what_cannot_be_a_parcel_gets_no_slots(spapi, amazon, placed, changes):
    assert code_of(await spapi.call("POST", f"{BASE}/timeSlot", asked(placed, **changes))) == (400, "InvalidInput")
    assert amazon.world.slots == {}


async def test_only_easy_ship_orders_that_wait_are_scheduled(spapi, amazon, placed):
    plain = amazon.place_order(SELLER)
    assert code_of(await spapi.call("POST", f"{BASE}/timeSlot", asked(plain))) == (400, "ResourceNotFound")
    amazon.cancel(placed.id)
    assert code_of(await spapi.call("POST", f"{BASE}/timeSlot", asked(placed))) == (400, "InvalidOrderState")


async def test_a_package_moves_to_another_slot_until_it_is_handed_over(spapi, amazon, placed):
    first, second, _ = await slots(spapi, placed)
    package = (await schedule(spapi, placed, first)).json()
    move = {
        "marketplaceId": INDIA,
        "updatePackageDetailsList": [{"scheduledPackageId": package["scheduledPackageId"], "packageTimeSlot": second}],
    }
    reply = await spapi.call("PATCH", f"{BASE}/package", move)
    assert reply.json()["packages"][0]["packageTimeSlot"] == second
    amazon.move_easy_ship(placed.id, "PickedUp")
    assert amazon.order(placed.id).status == "SHIPPED"
    late = await spapi.call("PATCH", f"{BASE}/package", move)
    assert code_of(late) == (400, "OrderNotEligibleForRescheduling")
    with pytest.raises(NotPossible):
        amazon.move_easy_ship(placed.id, "Teleported")


async def label_feed(spapi, order, *kinds):
    inside = "".join(f"<DocumentType>{one}</DocumentType>" for one in kinds)
    xml = (
        '<?xml version="1.0"?><AmazonEnvelope><Header><DocumentVersion>1.01</DocumentVersion>'
        f"<MerchantIdentifier>{SELLER}</MerchantIdentifier></Header><MessageType>EasyShipDocument</MessageType>"
        f"<Message><MessageID>1</MessageID><EasyShipDocument><AmazonOrderID>{order.id}</AmazonOrderID>{inside}"
        "</EasyShipDocument></Message></AmazonEnvelope>"
    )
    kind = "text/xml; charset=UTF-8"
    made = await spapi.post("/feeds/2021-06-30/documents", {"contentType": kind})
    await spapi.http.put(made["url"], content=xml.encode(), headers={"content-type": kind})
    body = {
        "feedType": "POST_EASYSHIP_DOCUMENTS",
        "marketplaceIds": [INDIA],
        "inputFeedDocumentId": made["feedDocumentId"],
        "feedOptions": {"AmazonOrderId": order.id, "DocumentType": "ShippingLabel"},
    }
    feed_id = (await spapi.post("/feeds/2021-06-30/feeds", body))["feedId"]
    spapi.desk.advance_feeds()
    feed = await spapi.get(f"/feeds/2021-06-30/feeds/{feed_id}")
    told = await spapi.get(f"/feeds/2021-06-30/documents/{feed['resultFeedDocumentId']}")
    return ET.fromstring(gzip.decompress((await spapi.http.get(told["url"])).content))


async def test_the_label_comes_by_feed_report_restricted_token_and_gzip(spapi, amazon, placed, tmp_path):
    first, *_ = await slots(spapi, placed)
    tracking = (await schedule(spapi, placed, first)).json()["trackingDetails"]["trackingId"]
    root = await label_feed(spapi, placed, "ShippingLabel", "Invoice")
    report_id = root.findtext(".//DocumentReportReferenceID")
    assert report_id.startswith("amzn1.easyship.document.")
    report = await spapi.get(f"/reports/2021-06-30/reports/{report_id}")
    assert (report["processingStatus"], report["reportType"]) == ("DONE", "GET_EASYSHIP_DOCUMENTS")
    path = f"/reports/2021-06-30/documents/{report['reportDocumentId']}"
    assert (await spapi.call("GET", path)).status_code == 403
    asked = {"restrictedResources": [{"method": "GET", "path": path}]}
    spapi.token = (await spapi.post("/tokens/2021-03-01/restrictedDataToken", asked))["restrictedDataToken"]
    told = await spapi.get(path)
    file = tmp_path / "label.pdf"
    file.write_bytes(gzip.decompress((await spapi.http.get(told["url"])).content))
    text = PdfReader(file).pages[0].extract_text()
    assert tracking in text
    assert "COD" in text


async def test_a_label_of_what_was_not_scheduled_is_an_error_in_the_report(spapi, amazon, placed):
    root = await label_feed(spapi, placed, "ShippingLabel")
    assert root.findtext(".//DocumentReportReferenceID") is None
    assert root.findtext(".//Result/ResultCode") == "Error"
    assert amazon.world.sellers[SELLER].reports == {}


async def test_slots_live_as_long_as_the_knob_says(spapi, amazon, placed):
    amazon.set_knobs(AmazonKnobChange(slot_seconds=0))
    first, *_ = await slots(spapi, placed)
    assert code_of(await schedule(spapi, placed, first)) == (400, "ScheduleWindowExpired")
