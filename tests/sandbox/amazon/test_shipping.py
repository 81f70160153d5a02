"""Amazon Shipping: rates, a purchase that happens once, labels, tracking, failed deliveries."""

import base64
import io

import pytest
from pypdf import PdfReader

SELLER = "A1INSELLER0001"
BASE = "/shipping/v2"
BUSINESS = {"x-amzn-shipping-business-id": "AmazonShipping_IN"}
PDF = {
    "format": "PDF",
    "size": {"width": 4, "length": 6, "unit": "INCH"},
    "dpi": 203,
    "pageLayout": "DEFAULT",
    "needFileJoining": False,
    "requestedDocumentTypes": ["LABEL"],
}


def address(name, pincode):
    return {
        "name": name,
        "addressLine1": "14, 3rd Main",
        "city": "Bengaluru",
        "stateOrRegion": "Karnataka",
        "countryCode": "IN",
        "postalCode": pincode,
        "phoneNumber": "9845000101",
    }


def parcel(**changes):
    return {
        "shipFrom": address("Peenya warehouse", "560058"),
        "shipTo": address("Asha Rao", "400050"),
        "packages": [
            {
                "dimensions": {"length": 20, "width": 15, "height": 10, "unit": "CENTIMETER"},
                "weight": {"unit": "GRAM", "value": 840},
                "insuredValue": {"unit": "INR", "value": 998},
                "packageClientReferenceId": "SC-1001",
                "items": [{"quantity": 2, "description": "Steel bottle", "itemIdentifier": "BOT-1L-BLU"}],
            }
        ],
        "channelDetails": {"channelType": "EXTERNAL"},
        "taxDetails": [{"taxType": "GST", "taxRegistrationNumber": "29ABCDE1234F2Z5"}],
        **changes,
    }


async def rates(spapi, **changes):
    return (await spapi.post(f"{BASE}/shipments/rates", parcel(**changes), headers=BUSINESS))["payload"]


async def buy(spapi, offer, key="key-1", **changes):
    cheapest = min(offer["rates"], key=lambda one: one["totalCharge"]["value"])
    body = {"requestToken": offer["requestToken"], "rateId": cheapest["rateId"], "requestedDocumentSpecification": PDF}
    return await spapi.call(
        "POST", f"{BASE}/shipments", {**body, **changes}, headers={**BUSINESS, "x-amzn-IdempotencyKey": key}
    )


async def bought(spapi):
    return (await buy(spapi, await rates(spapi))).json()["payload"]


async def test_a_rate_is_bought_once_under_one_key(spapi, amazon):
    offer = await rates(spapi, valueAddedServices={"collectOnDelivery": {"amount": {"value": 998, "unit": "INR"}}})
    assert [one["serviceId"] for one in offer["rates"]] == ["SWA-IN-OA", "SWA-IN-PREMIUM"]
    assert offer["rates"][0]["totalCharge"] == {"value": 113.0, "unit": "INR"}
    first, again = await buy(spapi, offer), await buy(spapi, offer)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json()["payload"]["shipmentId"] == again.json()["payload"]["shipmentId"]
    (view,) = amazon.parcels(SELLER)
    assert (view.cod, view.status) == ("998.00", "PreTransit")
    assert (await buy(spapi, offer, key="key-2")).status_code == 200
    assert len(amazon.parcels()) == 2


async def test_the_label_is_in_the_answer_and_can_be_fetched_again(spapi):
    made = await bought(spapi)
    (package,) = made["packageDocumentDetails"]
    content = base64.b64decode(package["packageDocuments"][0]["contents"])
    assert package["trackingId"] in PdfReader(io.BytesIO(content)).pages[0].extract_text()
    path = f"{BASE}/shipments/{made['shipmentId']}/documents"
    again = await spapi.get(path, packageClientReferenceId="SC-1001", format="PDF", headers=BUSINESS)
    assert again["payload"]["packageDocumentDetail"] == package
    other = await spapi.call("GET", path, packageClientReferenceId="SC-1001", format="ZPL", headers=BUSINESS)
    assert other.status_code == 400


async def test_an_offer_holds_for_ten_minutes(spapi, amazon):
    offer = await rates(spapi)
    amazon.pass_time(600)
    late = await buy(spapi, offer)
    assert (late.status_code, late.json()["errors"][0]["code"]) == (400, "TOKEN_EXPIRED")
    assert amazon.parcels() == []


async def test_a_place_that_is_not_served_has_reasons_instead_of_rates(spapi):
    offer = await rates(spapi, shipTo=address("Tenzin Dolma", "194101"))
    assert offer["rates"] == []
    assert offer["ineligibleRates"][0]["ineligibilityReasons"][0]["code"] == "NO_COVERAGE"


@pytest.mark.parametrize(
    "changes",
    [
        {"shipTo": {"name": "Asha"}},
        {"shipTo": address("A" * 51, "400050")},
        {"packages": []},
        {"channelDetails": {"channelType": "AMAZON", "amazonOrderDetails": {"orderId": "402-1-1"}}},
        {"channelDetails": {}},
        {"valueAddedServices": {"collectOnDelivery": {"amount": {"value": 5, "unit": "USD"}}}},
    ],
)
async def test_what_cannot_be_shipped_is_refused(spapi, amazon, changes):
    assert (await spapi.call("POST", f"{BASE}/shipments/rates", parcel(**changes), headers=BUSINESS)).status_code == 400
    assert (await spapi.call("POST", f"{BASE}/shipments/rates", parcel())).status_code == 400, "no business id"
    assert amazon.world.quotes == {}


async def test_one_click_ships_an_order_of_amazons_own_channel(spapi, amazon):
    placed = amazon.place_order(SELLER)
    body = parcel(
        channelDetails={"channelType": "AMAZON", "amazonOrderDetails": {"orderId": placed.id}},
        labelSpecifications=PDF,
        serviceSelection={"serviceId": ["SWA-IN-OA"]},
        valueAddedServicesDetails=[{"id": "CollectOnDelivery", "amount": {"value": 500, "unit": "INR"}}],
    )
    made = (await spapi.post(f"{BASE}/oneClickShipment", body, headers=BUSINESS))["payload"]
    assert made["service"]["id"] == "SWA-IN-OA"
    (view,) = amazon.parcels()
    assert (view.order_id, view.cod, view.shipment_id) == (placed.id, "500.00", made["shipmentId"])
    assert amazon.world.parcels[view.shipment_id].to_pincode == placed.pincode, "the order knows where to"
    for change in (
        {"serviceSelection": {"serviceId": ["SWA-IN-ROCKET"]}},
        {"valueAddedServicesDetails": [{"id": "GiftWrap"}]},
        {"labelSpecifications": {**PDF, "format": "PNG"}},
    ):
        reply = await spapi.call("POST", f"{BASE}/oneClickShipment", {**body, **change}, headers=BUSINESS)
        assert reply.status_code == 400
    assert len(amazon.parcels()) == 1


async def test_a_zpl_label_for_label_printers(spapi):
    made = (await buy(spapi, await rates(spapi), requestedDocumentSpecification={**PDF, "format": "ZPL"})).json()
    content = made["payload"]["packageDocumentDetails"][0]["packageDocuments"][0]["contents"]
    assert base64.b64decode(content).startswith(b"^XA")


async def track(spapi, tracking_id):
    query = {"trackingId": tracking_id, "carrierId": "ATS"}
    return (await spapi.get(f"{BASE}/tracking", **query, headers=BUSINESS))["payload"]


async def test_tracking_tells_the_whole_history(spapi, amazon):
    number = (await bought(spapi))["packageDocumentDetails"][0]["trackingId"]
    for _ in range(4):
        amazon.advance_parcel(number)
    told = await track(spapi, number)
    assert [one["eventCode"] for one in told["eventHistory"]][-1] == "OutForDelivery"
    assert told["summary"]["status"] == "OutForDelivery"
    amazon.advance_parcel(number)
    assert amazon.advance_parcel(number).status == "Delivered"
    none = await spapi.call("GET", f"{BASE}/tracking", trackingId="1", carrierId="ATS", headers=BUSINESS)
    assert none.status_code == 404


async def test_a_failed_delivery_is_answered(spapi, amazon):
    number = (await bought(spapi))["packageDocumentDetails"][0]["trackingId"]

    async def feedback(action, **data):
        body = {"trackingId": number, "ndrAction": action, "ndrRequestData": data}
        return (await spapi.call("POST", f"{BASE}/ndrFeedback", body, headers=BUSINESS)).status_code

    assert await feedback("REATTEMPT") == 400, "nothing failed yet"
    amazon.move_parcel(number, "DeliveryAttempted", "CustomerUnavailable")
    told = await track(spapi, number)
    assert told["summary"]["trackingDetailCodes"]["forward"] == ["CustomerUnavailable"]
    assert await feedback("WAIT") == 400
    assert await feedback("RESCHEDULE", rescheduleDate="2020-01-01T00:00:00Z") == 400
    assert await feedback("RESCHEDULE", rescheduleDate="2099-01-01T00:00:00Z") == 204
    assert await feedback("RTO") == 204
    assert amazon.parcel(number).ndr == ("RESCHEDULE", "RTO")
    back = await track(spapi, number)
    assert (back["eventHistory"][-1]["eventCode"], back["eventHistory"][-1]["shipmentType"]) == (
        "ReturnInitiated",
        "RETURNS",
    )
    assert back["alternateLegTrackingId"]


async def test_a_shipment_is_cancelled_until_it_is_picked_up(spapi, amazon):
    first, second = await bought(spapi), (await buy(spapi, await rates(spapi), key="k2")).json()["payload"]
    path = f"{BASE}/shipments/{first['shipmentId']}/cancel"
    assert [(await spapi.call("PUT", path, headers=BUSINESS)).status_code for _ in range(2)] == [200, 200]
    amazon.advance_parcel(second["packageDocumentDetails"][0]["trackingId"])
    late = f"{BASE}/shipments/{second['shipmentId']}/cancel"
    assert (await spapi.call("PUT", late, headers=BUSINESS)).status_code == 400
    assert [one.cancelled for one in amazon.parcels()] == [True, False]
