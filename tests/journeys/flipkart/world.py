"""A seller at the API who sells on Flipkart: what Flipkart's stories are told with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx2

from shipcrowd.sandbox.flipkart.desk import FlipkartDesk
from shipcrowd.sandbox.flipkart.schemas import Kind, NewSeller, NewShipment, NotificationTarget, ShipmentView
from tests.journeys.world import API, Seller, World
from tests.support import drain

SERVED = "560038"
"""A pincode every courier of the stand-in goes to."""


@dataclass
class FlipkartSeller:
    """One company and its one store at Flipkart. `id` is the seller's there."""

    at_api: Seller
    id: str
    store_id: UUID

    @property
    def desk(self) -> FlipkartDesk:
        return self.at_api.desk.flipkart

    @property
    def webhook_url(self) -> str:
        return f"{API}/webhooks/flipkart/{self.id}"

    async def place(self, kind: Kind = Kind.standard_prepaid, **new: Any) -> tuple[ShipmentView, Any]:
        """A buyer orders; the shipment there, and the order it became here."""
        made = self.desk.place(self.id, NewShipment(kind=kind, **({"pincode": SERVED} | new)))
        await self.settle()
        return made, await self.order(made.id)

    async def order(self, shipment_id: str) -> Any:
        """The order that is this shipment, whole."""
        found = [each for each in await self.orders() if each["external_id"] == shipment_id]
        assert len(found) == 1, f"{len(found)} orders are {shipment_id}"
        return await self.at_api.get(f"/orders/{found[0]['id']}")

    async def orders(self) -> list[Any]:
        found: list[Any] = []
        after: str | None = None
        while True:
            page = await self.at_api.get("/orders", limit=200, **({"after": after} if after else {}))
            found += page["items"]
            after = page["next"]
            if after is None:
                return found

    def there(self, shipment_id: str) -> ShipmentView:
        return self.desk.shipment(self.id, shipment_id)

    async def book(self, order: Mapping[str, Any]) -> Any:
        """Quoted, booked, and the courier's answer taken in; the parcel whole."""
        made = await self.at_api.book(order)
        await self.settle()
        return await self.at_api.shipment(made["id"])

    async def hand_over(self, *parcels: Mapping[str, Any]) -> None:
        """On a manifest that is closed: the marketplace is told that they are ready."""
        manifest = await self.at_api.post("/manifests", {"shipment_ids": [parcel["id"] for parcel in parcels]})
        await self.at_api.post(f"/manifests/{manifest['id']}/close")
        await self.settle()

    async def settle(self, *, impatient: bool = True) -> None:
        await self.at_api.settle(impatient=impatient)

    async def sweep(self) -> None:
        """The seller has the store read now."""
        await self.at_api.post(f"/integrations/flipkart/stores/{self.store_id}/sync/orders")
        await self.settle()

    async def tracked(self, parcel: Mapping[str, Any]) -> Any:
        """The parcel, its courier asked."""
        await self.at_api.post(f"/shipments/{parcel['id']}/track")
        await self.settle()
        return await self.at_api.shipment(parcel["id"])

    async def store(self) -> Any:
        return await self.at_api.get(f"/integrations/flipkart/stores/{self.store_id}")

    async def deliveries(self) -> list[Any]:
        """The newest notifications and what became of them."""
        found: list[Any] = await self.at_api.get(f"/integrations/flipkart/stores/{self.store_id}/webhooks", limit=200)
        return found

    async def posted(self, body: bytes, headers: Mapping[str, str]) -> httpx2.Response:
        return await self.at_api.http.post(self.webhook_url, content=body, headers=dict(headers))


async def flipkart_seller(world: World, name: str = "Asha Crafts") -> FlipkartSeller:
    """Signed up, ready to ship, signed in at Flipkart on its consent page; notifications go to the store's address."""
    seller = await world.newcomer(name)
    await seller.settle_in()
    return await connected(seller, name)


async def connected(seller: Seller, name: str = "Asha Crafts") -> FlipkartSeller:
    there = seller.desk.flipkart.create_seller(NewSeller(name=name))
    consent = await seller.send("GET", "/integrations/flipkart/install", shop=there.id)
    assert consent.status_code == 302, consent.text
    back = await seller.http.get(seller.desk.flipkart.approve(consent.headers["location"], there.id))
    assert back.status_code == 200, back.text
    made = FlipkartSeller(seller, there.id, UUID(back.json()["id"]))
    seller.desk.flipkart.notify(there.id, NotificationTarget(url=made.webhook_url))
    await drain()
    return made
