"""Shopify's own published order, as `shipcrowd webhook send` posts it. It is read from outside and never kept here."""

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.world import BOX, Seller

SAMPLES = Path(os.environ.get("SHIPCROWD_SAMPLES", Path(__file__).parents[2] / "../shared/samples"))
ORDER = SAMPLES / "shopify" / "order.json"

pytestmark = pytest.mark.skipif(
    not ORDER.exists(), reason=f"Shopify's published order is not at {ORDER}; set SHIPCROWD_SAMPLES"
)

INDIAN = {
    "first_name": "Gurpreet", "last_name": "Kaur", "name": "Gurpreet Kaur", "company": None,
    "address1": "221 Model Town", "address2": "", "city": "Ludhiana", "province": "Punjab", "province_code": "PB",
    "zip": "141002", "country": "India", "country_code": "IN", "phone": "+919814000103",
}  # fmt: skip


@pytest.fixture
def published() -> bytes:
    return ORDER.read_bytes()


async def test_the_published_order_comes_in_with_its_money_address_lines_and_why_it_cannot_be_shipped(
    seller: Seller, published: bytes
):
    assert (await seller.webhook("orders/create", published)).status_code == 200
    await seller.settle()
    assert await seller.failed_items() == []
    order = await seller.order("#1001")
    assert (order["currency"], order["total_paise"]) == ("USD", 409_94)
    assert (order["subtotal_paise"], order["tax_paise"], order["shipping_paise"]) == (398_00, 11_94, 0)
    assert order["external_id"] == "450789469"
    to = order["ship_to"]
    assert (to["name"], to["line1"], to["city"], to["pincode"]) == (
        "Bob Norman", "Chestnut Street 92", "Louisville", "40202",
    )  # fmt: skip
    assert order["country"] == "US"
    assert {
        (line["sku"], line["units"], line["unit_price_paise"], line["weight_grams"]) for line in order["lines"]
    } == {
        ("IPOD2008GREEN", 1, 199_00, 200),
        ("IPOD2008RED", 1, 199_00, 200),
        ("IPOD2008BLACK", 1, 199_00, 200),
    }
    assert {"country", "currency"} <= set(order["problems"])
    problem = await seller.refused("POST", "/quotes", {"order_id": order["id"], **BOX}, status=422)
    assert problem["code"] == "not_bookable"
    assert {"country", "currency"} <= set({each["field"] for each in problem["errors"]})
    assert await seller.money() == (5000_00, 0)


async def test_the_same_order_with_an_indian_address_and_rupees_is_booked(seller: Seller, published: bytes):
    payload: dict[str, Any] = copy.deepcopy(json.loads(published))
    payload["order"] |= {
        "currency": "INR", "financial_status": "paid", "shipping_address": INDIAN, "billing_address": INDIAN,
    }  # fmt: skip
    assert (await seller.webhook("orders/create", payload)).status_code == 200
    await seller.settle()
    order = await seller.order("#1001")
    assert (order["problems"], order["payment"], order["units"]) == ({}, "prepaid", 3)
    assert order["weight_grams"] == 600
    shipment = await seller.book(order)
    await seller.settle(impatient=True)
    shipment = await seller.shipment(shipment["id"])
    assert (shipment["state"], shipment["pincode"], shipment["weight_grams"]) == ("pickup_pending", "141002", 600)
    # The store on this side never had that order, so it cannot be told of the parcel; that is shown, not lost.
    (announcement,) = (await seller.get("/integrations/shopify/announcements"))["items"]
    assert announcement["state"] == "refused"
