"""A seller at the stand-in for Flipkart, and raw calls to it under the real host."""

import base64
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from shipcrowd.sandbox.desk import Desk
from shipcrowd.sandbox.flipkart.desk import FlipkartDesk
from shipcrowd.sandbox.flipkart.schemas import KnobChange, NewLocation, NewSeller, NewShipment, SellerView, ShipmentView

HOST = "https://api.flipkart.net"
PRE = ["APPROVED", "PACKING_IN_PROGRESS", "PACKED", "FORM_FAILED", "READY_TO_DISPATCH"]
POST = ["PICKUP_COMPLETE", "SHIPPED", "DELIVERED"]


def basic(app_id: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{app_id}:{secret}".encode()).decode()}


@dataclass
class Flipkart:
    """Raw calls as one seller."""

    http: httpx2.AsyncClient
    seller: SellerView
    token: str = ""

    @property
    def location(self) -> str:
        return self.seller.locations[0].id

    async def mint(self, **query: str) -> httpx2.Response:
        """The seller's own application signs in."""
        asked = {"grant_type": "client_credentials", "scope": "Seller_Api", **query}
        return await self.http.get(
            f"{HOST}/oauth-service/oauth/token",
            params=asked,
            headers=basic(self.seller.app_id, self.seller.app_secret),
        )

    async def sign_in(self) -> None:
        self.token = (await self.mint()).json()["access_token"]

    async def call(self, method: str, path: str, body: Any = None, **more: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.token}", **more.pop("headers", {})}
        return await self.http.request(method, f"{HOST}/sellers{path}", json=body, headers=headers, **more)

    async def get(self, path: str, **more: Any) -> Any:
        reply = await self.call("GET", path, **more)
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def post(self, path: str, body: Any) -> Any:
        reply = await self.call("POST", path, body)
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def filter(self, kind: str = "preDispatch", states: list[str] | None = None, **more: Any) -> httpx2.Response:
        sort = more.pop("sort", {"field": "orderDate", "order": "asc"})
        by_kind = {"preDispatch": PRE, "postDispatch": POST, "cancelled": ["CANCELLED"]}
        asked = {"type": kind, "states": states or by_kind[kind], **more}
        return await self.call("POST", "/v3/shipments/filter", {"filter": asked, "sort": sort})

    async def found(self, kind: str = "preDispatch", **more: Any) -> list[str]:
        """Ids of all pages, in the order they came, with what came twice."""
        reply = await self.filter(kind, **more)
        assert reply.status_code == 200, reply.text
        page, ids = reply.json(), []
        while True:
            ids += [one["shipmentId"] for one in page["shipments"]]
            if not page["hasMore"]:
                return ids
            page = await self.get(page["nextPageUrl"])

    async def read(self, shipment: ShipmentView | str) -> Any:
        wanted = shipment if isinstance(shipment, str) else shipment.id
        return (await self.get(f"/v3/shipments?shipmentIds={wanted}"))["shipments"][0]

    def pack_body(self, it: ShipmentView, **changes: Any) -> dict[str, Any]:
        live = [item for item in it.items if item.status != "CANCELLED"]
        return {
            "shipmentId": it.id,
            "locationId": it.location_id,
            "taxItems": [{"orderItemId": item.id, "quantity": item.quantity, "taxRate": 18.0} for item in live],
            "invoices": [{"orderId": it.order_id, "invoiceDate": "2026-11-20", "invoiceNumber": "INV/26-27/000123"}],
            "subShipments": [
                {"subShipmentId": "SS-1", "dimensions": {"length": 28, "breadth": 9, "height": 9, "weight": 0.42}}
            ],
            **changes,
        }

    async def pack(self, *shipments: ShipmentView, **changes: Any) -> list[dict[str, Any]]:
        body = {"shipments": [self.pack_body(one, **changes) for one in shipments]}
        return (await self.post("/v3/shipments/labels", body))["shipments"]


@pytest.fixture
def fk(desk: Desk) -> FlipkartDesk:
    return desk.flipkart


@pytest.fixture
async def flipkart(fk: FlipkartDesk, http: httpx2.AsyncClient) -> Flipkart:
    seller = fk.create_seller(
        NewSeller(locations=(NewLocation(), NewLocation(name="Hosur", pincode="635109", state="Tamil Nadu")))
    )
    fk.set_knobs(KnobChange(per_second=0, per_hour=0))  # tests call quicker than any store may
    made = Flipkart(http, seller)
    await made.sign_in()
    return made


@pytest.fixture
def place(fk: FlipkartDesk, flipkart: Flipkart):
    def placed(**new: Any) -> ShipmentView:
        return fk.place(flipkart.seller.id, NewShipment(**new))

    return placed
