"""Running processes and the people at them.

The tests are synchronous: each tells its story in an event loop of its own, in which this process is connected to
the processes' database.
"""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

from shipcrowd.demo import story
from shipcrowd.demo.seller import Seller, until
from shipcrowd.demo.stage import Stage
from shipcrowd.kernel import db, tenancy
from shipcrowd.ledger import invariants
from shipcrowd.sandbox.client import DeskClient
from shipcrowd.sandbox.schemas import NewOrder, NewShop, Payment
from shipcrowd.shipping import books

ROOT = Path(__file__).parents[2]
PASSWORD = "brass-lamps-2026"

_numbers = count(1)

PLACE = {
    "name": "Okhla warehouse", "contact": "Ravi Kumar", "phone": "9811111111", "email": "okhla@shop.example",
    "line1": "Plot 4, Okhla Phase 2", "city": "New Delhi", "state": "Delhi", "pincode": "110020",
}  # fmt: skip


@dataclass
class Theatre:
    """The running processes, and who drives the outside world."""

    stage: Stage
    app_url: str

    def tell(self, tale: Callable[[DeskClient], Awaitable[None]]) -> None:
        """Run a story against the processes; afterwards the outside world is calm again."""

        async def told() -> None:
            async with self._connected() as desk:
                try:
                    await tale(desk)
                finally:
                    await desk.clear_faults()

        asyncio.run(told())

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[DeskClient]:
        before = db._Engine.current
        db.connect(self.app_url, pool=4)
        try:
            async with DeskClient(self.stage.sandbox_url) as desk:
                yield desk
        finally:
            await db.disconnect()
            db._Engine.current = before

    def log(self, name: str) -> str:
        return (self.stage.folder / "logs" / f"{name}.log").read_text(errors="replace")

    def run(self, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        """One command of the product, to its end. `typed` is what someone types into it: it has no terminal of ours,
        so that passwords are read from there, too."""
        command = [sys.executable, "-m", "shipcrowd", *arguments]
        return subprocess.run(
            command,
            input=typed,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=ROOT,
            check=False,
            start_new_session=True,
        )

    # --- people

    async def seller(self, desk: DeskClient, *, orders: int = 0) -> "Keeper":
        """A seller whose store is connected, with that many orders taken in. A worker must be running."""
        number = next(_numbers)
        shop = f"asha-lamps-{number}.myshopify.com"
        await desk.create_shop(shop, NewShop(domain=shop, stock=1000))
        http = Seller(self.stage.url)
        await http.sign_up(
            company=f"Asha Lamps {number}", name="Asha Rao", email=f"asha{number}@lamps.example", password=PASSWORD
        )
        await http.patch("/company", {"state": "Delhi"})
        await http.post("/places", PLACE)
        box = {"length_mm": 280, "breadth_mm": 110, "height_mm": 110}
        await http.put("/shipping/preferences", {"box": box})
        await http.post("/wallet/fund", {"amount_paise": 25_000_00, "reference": "opening"})
        company_id = UUID((await http.get("/auth/me"))["company_id"])
        for n in range(orders):
            payment = Payment.cod if n % 2 else Payment.prepaid
            await desk.place_order(shop, NewOrder(payment=payment, shipping_address=story.address(n)))
        consent = await http.redirected("/integrations/shopify/install", shop=shop)
        assert await http.open(await desk.approve(consent)) == 200
        keeper = Keeper(http, shop, company_id)
        await until("taking in the orders", keeper.orders, lambda seen: len(seen) == orders, seconds=90)
        await until("subscribing", desk.shops, lambda shops: len(shops[-1].subscriptions) >= 8, seconds=90)
        return keeper


@dataclass
class Keeper:
    """A seller at the running API."""

    http: Seller
    shop: str
    company_id: UUID

    async def orders(self) -> list[dict[str, Any]]:
        return await self.http.everything("/orders")

    async def shipments(self) -> list[dict[str, Any]]:
        return await self.http.everything("/shipments")

    async def ship_everything(self) -> str:
        """A bulk run over all orders; its id."""
        ids = [order["id"] for order in await self.orders()]
        run: str = (await self.http.post("/shipments/bulk", {"order_ids": ids}))["id"]
        return run

    async def run_of(self, run: str) -> dict[str, Any]:
        found: dict[str, Any] = await self.http.get(f"/shipments/bulk/{run}")
        return found

    async def nothing_is_lost_or_doubled(self, desk: DeskClient) -> None:
        """Every order has one shipment at most, every shipment one parcel at most, and the books are right."""
        shipments = await self.shipments()
        mine = {shipment["id"]: shipment for shipment in shipments}
        parcels = {key: n for key, n in (await desk.stats()).parcels_by_order.items() if key in mine}
        assert {key: n for key, n in parcels.items() if n != 1} == {}
        assert len({shipment["order_id"] for shipment in shipments}) == len(shipments)
        for shipment in shipments:
            known = {parcel.awb for parcel in await desk.parcels(shipment["id"])}
            if shipment["awb"]:
                assert known == {shipment["awb"]}
            else:
                assert shipment["state"] in ("unconfirmed", "refused"), shipment["state"]
                assert shipment["reason_code"]
                assert shipment["reason"]
        async with tenancy.acting_for(self.company_id) as session:
            assert await invariants.verify(session) == []
            assert await books.held_but_not_open(session) == []
