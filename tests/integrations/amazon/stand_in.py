"""The product wired to Amazon's stand-in, in this process: what stories of Amazon are told with."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from shipcrowd.channels import jobs, open, service, taking, vendors
from shipcrowd.connections import routes
from shipcrowd.connections import service as connections
from shipcrowd.connections.models import Connection
from shipcrowd.integrations import amazon as amazons
from shipcrowd.integrations.amazon import channel as channels
from shipcrowd.integrations.amazon import client as calling
from shipcrowd.integrations.amazon import lwa, subscriptions
from shipcrowd.kernel import app_secrets, db, outbound, tenancy
from shipcrowd.kernel.ids import new_id
from shipcrowd.orders.models import Order
from shipcrowd.sandbox.amazon.desk import AmazonDesk
from shipcrowd.sandbox.amazon.schemas import AmazonKnobChange, NewAmazonOrder, NewSeller, SellerView
from shipcrowd.sandbox.app import InProcess, sandbox
from shipcrowd.sandbox.desk import Desk
from shipcrowd.settings import settings
from tests.support import body_of, drain

QUEUE_HOST = "sqs.eu-west-1.amazonaws.com"
QUEUE = "arn:aws:sqs:eu-west-1:111122223333:spapi"
ASHA = "user:asha"


class Post:
    """An SQS endpoint in this process that keeps what is put into it."""

    def __init__(self) -> None:
        self.letters: list[bytes] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = await body_of(receive)
        self.letters.append(json.loads(body)["MessageBody"].encode())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})


class Amazons:
    """Amazon's stand-in, and the product before it."""

    def __init__(self, desk: Desk) -> None:
        self.whole = desk
        self.desk: AmazonDesk = desk.amazon
        self.wire = InProcess(sandbox(desk))
        self.post = Post()
        desk.postman.receivers[QUEUE_HOST] = self.post
        desk.amazon.world.secret_queue = QUEUE

    def seller(self, **given: Any) -> SellerView:
        """A seller no other test has."""
        return self.desk.create_seller(NewSeller(**{"seller_id": f"A{new_id().hex[-12:].upper()}"} | given))

    async def connect(self, company: UUID, seller: SellerView, **more: str) -> UUID:
        """The seller's token pasted, and everything that follows done."""
        given = {"refresh_token": self.desk.refresh_token(seller.id), **more}
        store = await service.connect_pasted(company, platform="amazon", store=seller.id, given=given, actor=ASHA)
        await self.settle()
        return store

    def place(self, seller: SellerView, **given: Any) -> str:
        return self.desk.place_order(seller.id, NewAmazonOrder(**given)).id

    async def settle(self) -> None:
        """Notifications arrive, and the jobs they cause are done."""
        for _ in range(10):
            await self.whole.postman.drain()
            letters, self.post.letters = self.post.letters, []
            for letter in letters:
                await taking.take(amazons.vendor, letter)
            if not await drain(skip_waits=True) and not self.post.letters:
                return

    async def sweep(self, company: UUID, store: UUID) -> None:
        async with tenancy.acting_for(company) as session:
            await jobs.sweep.enqueue(session, company_id=company, connection_id=store)
        await self.settle()


async def order_of(company: UUID, external_id: str) -> Order:
    async with tenancy.acting_for(company) as session:
        return (await session.execute(select(Order).where(Order.external_id == external_id))).scalar_one()


async def connection_of(company: UUID, store: UUID) -> Connection:
    async with tenancy.acting_for(company) as session:
        return await connections.get(session, store)


@asynccontextmanager
async def standing() -> AsyncIterator[Amazons]:
    """Wired for one test; everything as it was afterwards."""
    desk = Desk()
    desk.amazon.set_knobs(AmazonKnobChange(search_lag_seconds=0))
    known, wire = vendors._Vendors.known, (outbound._Wire.transport, outbound._Wire.route)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "CLIENT_ID": desk.credentials.amazon_client_id,
            "CLIENT_SECRET": desk.credentials.amazon_client_secret,
            "APPLICATION_ID": desk.credentials.amazon_application_id,
            "QUEUE_URL": f"https://{QUEUE_HOST}/111122223333/spapi",
            "QUEUE_ARN": QUEUE,
        }.items():
            patch.setenv(f"SHIPCROWD_AMAZON_{name}", value)
        settings.cache_clear()
        vendors.use([amazons.vendor])
        outbound.use_wire(transport=InProcess(sandbox(desk)))
        forget()
        async with tenancy.unowned() as session:
            await (await db.driver(session)).execute("DELETE FROM pgqueuer")
            await (await db.driver(session)).execute("DELETE FROM buckets")
        async with tenancy.acting_for(tenancy.PLATFORM_COMPANY) as session:
            await (await db.driver(session)).execute("DELETE FROM app_secrets")
            await (await db.driver(session)).execute("DELETE FROM inbox")
        yield Amazons(desk)
        await desk.close()
        await outbound.close_all()
    vendors._Vendors.known = known
    outbound.use_wire(transport=wire[0], route=wire[1])
    settings.cache_clear()
    forget()


def forget() -> None:
    """What this process remembers of Amazon."""
    routes._Known.by_account.clear()
    channels.forget_participations()
    subscriptions.forget_destinations()
    open.forget_told_paces()
    calling.forget_rates()
    lwa.forget_own_tokens()
    app_secrets.forget()
