"""A seller of Amazon's in the world of the journeys, and the queue Amazon writes to.

The queue is SQS's SendMessage and a list: a story says when its letters are read, in which order and how often. What
reads them is what reads the real one (`channels.taking.take`); the real protocol is tested with moto, and by the
demo.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shipcrowd.channels import taking, vendors
from shipcrowd.kernel import clock, db, tenancy
from shipcrowd.sandbox.amazon.schemas import AmazonOrderView, NewAmazonOrder, NewSeller
from tests.journeys.world import Seller, World
from tests.support import drain

HOST = "sqs.eu-west-1.amazonaws.com"
ARN = "arn:aws:sqs:eu-west-1:111122223333:spapi"
GRAMS = 640


@dataclass
class Queue:
    """What was sent and not read yet."""

    letters: list[bytes] = field(default_factory=list)

    async def _send(self, request: Request) -> Response:
        assert request.headers["x-amz-target"] == "AmazonSQS.SendMessage"
        self.letters.append((await request.json())["MessageBody"].encode())
        return JSONResponse({"MessageId": str(len(self.letters))})

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route("/", self._send, methods=["POST"])])

    async def read(self, *, shuffled: random.Random | None = None, times: int = 1) -> int:
        """Hand the letters over, each `times` times; how many there were."""
        letters, self.letters = self.letters * times, []
        if shuffled:
            shuffled.shuffle(letters)
        for letter in letters:
            await taking.take(vendors.vendor("amazon"), letter)
        return len(letters)


@dataclass
class Merchant:
    """A company that sells at Amazon: a signed-in person, and the seller there."""

    person: Seller
    queue: Queue
    seller_id: str
    store_id: UUID = field(default_factory=lambda: UUID(int=0))

    @property
    def desk(self) -> Any:
        return self.person.desk.amazon

    @property
    def stores(self) -> str:
        return f"/integrations/amazon/stores/{self.store_id}"

    async def connect(self) -> None:
        """Sign in at Seller Central, as a browser would."""
        consent = await self.person.send("GET", "/integrations/amazon/install", shop="IN")
        assert consent.status_code == 302, consent.text
        back = await self.person.http.get(self.desk.approve(consent.headers["location"], self.seller_id))
        assert back.status_code == 200, back.text
        self.store_id = UUID(back.json()["id"])
        await drain()

    async def place(self, **changes: Any) -> str:
        """A buyer orders; Amazon's id of it. Its letter lies in the queue afterwards, unless it is lost."""
        given = {"pincode": "600004", **changes}
        made = self.desk.place_order(self.seller_id, NewAmazonOrder(**given))
        await self.person.desk.drain()
        return made.id

    async def settle(self, *, impatient: bool = False) -> None:
        """Letters are read and jobs run until nothing is left to do now."""
        for _ in range(20):
            await self.person.desk.drain()
            read = await self.queue.read()
            if not await drain(skip_waits=impatient, limit=5000) and not read:
                return

    async def sweep(self) -> None:
        await self.person.post(f"{self.stores}/sync/orders")
        await self.settle()

    async def orders(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        after: dict[str, str] = {}
        while True:
            page = await self.person.get("/orders", source="amazon", limit=200, **after)
            found += page["items"]
            if page["next"] is None:
                return found
            after = {"after": page["next"]}

    async def order(self, order_id: str) -> dict[str, Any]:
        [found] = [each for each in await self.orders() if each["external_id"] == order_id]
        return await self.person.get(f"/orders/{found['id']}")

    async def ship(self, order_id: str) -> dict[str, Any]:
        """Weigh and book an order, and let everything that follows happen; the shipment."""
        order = await self.order(order_id)
        await self.person.ask("PATCH", f"/orders/{order['id']}", {"weight_grams": GRAMS})
        shipment = await self.book(order["id"])
        assert shipment is not None
        await self.settle()
        return await self.person.shipment(shipment["id"])

    async def book(self, order_id: str) -> dict[str, Any] | None:
        """Book our order with the cheapest of Velocity's offers; None when it has none just now."""
        quote = await self.person.send("POST", "/quotes", {"order_id": order_id})
        options = quote.json()["options"] if quote.is_success else []
        offered = [each for each in options if each["courier"] == "velocity" and each["price_paise"] is not None]
        if not offered:
            return None
        option = min(offered, key=lambda each: each["price_paise"])
        chosen = {"quote_id": quote.json()["id"], "service": option["service"], "account_id": option["account_id"]}
        return await self.person.post("/shipments", chosen)

    async def failed_items(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = (await self.person.get("/integrations/amazon/failed-items"))["items"]
        return items

    def there(self, order_id: str) -> AmazonOrderView:
        """The order as Amazon has it."""
        return self.desk.order(order_id)


async def merchant(world: World, queue: Queue, name: str = "Mehfil Studio", *, rupees: int = 5000) -> Merchant:
    """Ready to ship: signed in at Amazon, a pickup place, a box, money."""
    person = await world.newcomer(name)
    await person.settle_in(rupees=rupees)
    made = Merchant(person, queue, world.desk.amazon.create_seller(NewSeller(name=name)).id)
    await made.connect()
    return made


async def limits_are_full_again() -> None:
    """Rate limits of ours, as after a quiet time."""
    async with tenancy.unowned() as session:
        wire = await db.driver(session)
        await wire.execute("DELETE FROM buckets")
        await wire.execute("UPDATE pgqueuer SET headers = headers - 'slots' WHERE headers ? 'slots'")


async def postponed_jobs_are_due() -> None:
    async with tenancy.unowned() as session:
        wire = await db.driver(session)
        await wire.execute(
            "UPDATE pgqueuer SET execute_after = now() WHERE status = 'queued' AND execute_after > now()"
        )


async def count(merchant: Merchant, statement: str) -> int:
    """A count within the company."""
    async with tenancy.acting_for(merchant.person.company_id) as session:
        return await (await db.driver(session)).fetchval(statement)


def long_ago(minutes: float) -> datetime:
    """A moment that Amazon's search, which lags by two minutes, tells of."""

    return clock.now() - timedelta(minutes=minutes)


def ids(orders: Sequence[dict[str, Any]]) -> list[str]:
    return sorted(order["external_id"] for order in orders)
