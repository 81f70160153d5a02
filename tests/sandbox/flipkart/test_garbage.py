"""Whatever is sent, the stand-in answers as an API does: no input breaks it."""

import re

import pytest

from shipcrowd.sandbox.flipkart import web
from shipcrowd.sandbox.flipkart.schemas import Kind

NOISE = [None, "x", [[1]], {"id": []}, [{"x": None}]]
FIELDS = ["shipments", "shipmentIds", "locationId", "filter", "params", "filters", "page_id", "returns"]


def bodies(shipment):
    """Every field with every noise; then entries of a batch whose insides are noise."""
    for name in FIELDS:
        for noise in NOISE:
            yield {name: noise, "locationId": shipment.location_id} if name != "locationId" else {name: noise}
    base = {"shipmentId": shipment.id, "locationId": shipment.location_id}
    inside = (
        "taxItems", "invoices", "subShipments", "forms", "reason", "cancellationGroupIds", "dispatchDate", "trackingId",
        "deliveryPartnerCode", "invoice", "failureAttributes", "deliveryDate", "shipmentId", "locationId",
    )  # fmt: skip
    for name in inside:
        for noise in NOISE:
            yield {"shipments": [{**base, name: noise}], **base, name: noise}
    for name in ("states", "hold", "modifiedDate", "locationId", "sku", "serviceProfiles", "cancellationType", "mps"):
        for noise in NOISE:
            for kind, state in (("preDispatch", "APPROVED"), ("cancelled", "CANCELLED")):
                yield {"filter": {"type": kind, "states": [state], name: noise}}
    for noise in NOISE:
        yield {"BOT-1L-BLU": noise}
        yield {"BOT-1L-BLU": {"product_id": noise, "locations": noise, "price": noise}}
        yield {"filter": {"type": "preDispatch", "states": ["APPROVED"]}, "pagination": noise, "sort": noise}
        yield {"filter": {"type": noise, "states": noise}}


POSTS = [route for route in web.ROUTES if "POST" in route.methods]


@pytest.mark.parametrize("route", POSTS, ids=lambda route: route.operation)
async def test_no_body_breaks_a_call(flipkart, place, fk, route):
    shipment = place(kind=Kind.self_ship if route.operation.startswith("selfship") else Kind.standard_prepaid)
    path = route.path.pattern.removeprefix(web.API).replace(web.IDS, shipment.id)
    # One alternative of each group in the path.
    path = re.sub(r"\(\?P<\w+>(/?\w+)[^)]*\)\??", r"\1", path)
    for body in bodies(shipment):
        reply = await flipkart.call("POST", path, body)
        assert reply.status_code in (200, 400, 404, 422), (body, reply.text)
    assert fk.shipment(flipkart.seller.id, shipment.id).status == "APPROVED"


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b"\xff"])
async def test_what_is_no_object_is_a_400(flipkart, raw):
    headers = {"Authorization": f"Bearer {flipkart.token}"}
    reply = await flipkart.http.post(
        "https://api.flipkart.net/sellers/v3/shipments/filter", content=raw, headers=headers
    )
    assert reply.status_code == 400
    wrong = await flipkart.call("DELETE", "/v3/shipments/filter")
    assert wrong.status_code == 405
