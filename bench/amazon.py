"""Amazon, with real processes: the API, a worker, the stand-in, and moto's SQS in a process of its own.

A message counts from the moment the request that puts it into the queue begins, to the moment the API has answered
with its order. Its baseline is a bare loop on the same queue at the same rate that receives and deletes and does
nothing else: that share is moto's and the machine's. The sweep's baseline is the same pages read bare.
"""

import asyncio
import contextlib
import itertools
import json
import os
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx2
import uvloop
from pydantic import SecretStr

from bench.ground import Ground, wait_for
from bench.rows import Row, percentile
from bench.stand_in import AGO, seller_id
from shipcrowd.channels import jobs as channel_jobs
from shipcrowd.channels.models import StoreSync
from shipcrowd.channels.schemas import StoreSettings
from shipcrowd.connections import service as connections
from shipcrowd.connections.models import Kind
from shipcrowd.demo.stage import free_port
from shipcrowd.identity import api_keys
from shipcrowd.identity.member import Member
from shipcrowd.identity.models import Company
from shipcrowd.identity.permissions import Role
from shipcrowd.integrations.amazon import AmazonCredentials
from shipcrowd.kernel import clock, db, tenancy
from shipcrowd.kernel.ids import new_id
from shipcrowd.sandbox.amazon.queues import ask
from shipcrowd.sandbox.amazon.schemas import QueueView
from shipcrowd.sandbox.client import DeskClient
from shipcrowd.sandbox.desk import Credentials

SWEPT = 10_000
SWEEP_RATE = 500
LOOK_SECONDS = 0.05
RECENT = timedelta(seconds=20)
LONGEST = 90.0
"""Seconds after the last message by which every order must be in."""


@dataclass(frozen=True)
class Load:
    """Messages at a steady rate, spread over the sellers by chance."""

    sellers: int
    rate: int
    seconds: int
    paced: bool
    most_ms: int

    @property
    def messages(self) -> int:
        return self.rate * self.seconds

    @property
    def orders(self) -> int:
        """Of each seller: twice the even share, for chance is not even; one more for the warm-up."""
        return 2 * -(-self.messages // self.sellers) + 2


REAL = Load(sellers=50, rate=20, seconds=45, paced=True, most_ms=3_000)
FAST = Load(sellers=5, rate=50, seconds=30, paced=False, most_ms=2_000)


@dataclass(frozen=True)
class Store:
    """One company's Amazon store. `token` opens the API, `orders` are the ids at Amazon."""

    company: UUID
    connection: UUID
    seller: str
    token: str
    orders: list[str]


@dataclass
class Far:
    """The far side: the stand-in and the queue."""

    queue: QueueView
    sandbox_url: str
    environment: dict[str, str] = field(default_factory=dict[str, str])


def notified(ground: Ground) -> list[Row]:
    """From a message in the queue to the order in the API."""
    return [*_notified(ground, "amazon_real", REAL), *_notified(ground, "amazon_fast", FAST)]


def sweeping(ground: Ground) -> list[Row]:
    """Ten thousand orders of one store by sweep."""
    url = ground.database("amazon_sweep")
    with _far_side(ground, "amazon_sweep", url, sellers=1, orders=SWEPT) as far:
        uvloop.run(_no_limits(far))
        bare = uvloop.run(_bare_pages(far))
        with _set(far.environment), ground.running("amazon_sweep_worker", url, "bench.unpaced", "worker"):
            found = uvloop.run(_swept(ground, "amazon_sweep", far))
    return [Row(f"Amazon: sweep of {SWEPT:,} orders", found, bare, "orders/s", target=SWEEP_RATE)]


def _notified(ground: Ground, name: str, wanted: Load) -> list[Row]:
    url = ground.database(name)
    with _far_side(ground, name, url, sellers=wanted.sellers, orders=wanted.orders) as far, _set(far.environment):
        bare = uvloop.run(_bare_queue(far, wanted))
        if not wanted.paced:
            uvloop.run(_no_limits(far))
        worker = ["shipcrowd", "worker"] if wanted.paced else ["bench.unpaced", "worker"]
        with ground.serving(f"{name}_api", url) as api, ground.running(f"{name}_worker", url, *worker):
            seconds = uvloop.run(_measured(ground, name, far, wanted, api.port))
    paces = "real paces" if wanted.paced else "paces off"
    return [
        Row(
            f"Amazon: message → order in the API, {wanted.sellers} sellers, {wanted.rate}/s, {paces}, p99",
            percentile(seconds, 99) * 1000,
            percentile(bare, 99) * 1000,
            "ms",
            target=wanted.most_ms,
            smaller=True,
        ),
        Row("  p50", percentile(seconds, 50) * 1000, percentile(bare, 50) * 1000, "ms", smaller=True),
    ]


# --- the far side ---------------------------------------------------------------------------------------------------


@contextmanager
def _far_side(ground: Ground, name: str, url: str, *, sellers: int, orders: int) -> Generator[Far]:
    ports = free_port(0), free_port(0)
    queue_url, sandbox_url = (f"http://127.0.0.1:{port}" for port in ports)
    stand_in = ["bench.stand_in", "--port", str(ports[1]), "--sellers", str(sellers), "--orders", str(orders)]
    with (
        ground.running(f"{name}_moto", url, "moto.server", "-H", "127.0.0.1", "-p", str(ports[0])) as moto,
        ground.running(f"{name}_stand_in", url, *stand_in) as selling,
    ):
        wait_for(moto, ports[0], ground.folder / f"{name}_moto.log")
        wait_for(selling, ports[1], ground.folder / f"{name}_stand_in.log")
        yield uvloop.run(_opened(queue_url, sandbox_url))


async def _opened(endpoint: str, sandbox_url: str) -> Far:
    app = Credentials()
    async with _sqs(endpoint) as sqs:
        made = (await ask(sqs, "CreateQueue", QueueName="bench"))["QueueUrl"]
        found = await ask(sqs, "GetQueueAttributes", QueueUrl=made, AttributeNames=["QueueArn"])
    arn = str(found["Attributes"]["QueueArn"])
    queue = QueueView(
        endpoint=endpoint, region="eu-west-1", url=str(made), arn=arn, dead_letter_url="", dead_letter_arn=""
    )
    told = {
        "SHIPCROWD_SANDBOX": "1",
        "SHIPCROWD_SANDBOX_URL": sandbox_url,
        "SHIPCROWD_LOG_LEVEL": "WARNING",
        "SHIPCROWD_AMAZON_CLIENT_ID": app.amazon_client_id,
        "SHIPCROWD_AMAZON_CLIENT_SECRET": app.amazon_client_secret,
        "SHIPCROWD_AMAZON_QUEUE_URL": queue.url,
        "SHIPCROWD_AMAZON_QUEUE_ARN": queue.arn,
        "SHIPCROWD_AMAZON_QUEUE_ENDPOINT": queue.endpoint,
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
    }
    return Far(queue, sandbox_url, told)


@contextmanager
def _set(environment: dict[str, str]) -> Generator[None]:
    """For the processes started meanwhile."""
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


async def _no_limits(far: Far) -> None:
    async with httpx2.AsyncClient(base_url=f"{far.sandbox_url}/desk/api/", trust_env=False) as http:
        (await http.patch("amazon/knobs", json={"enforce_limits": False})).raise_for_status()


@asynccontextmanager
async def _sqs(endpoint: str) -> AsyncGenerator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=endpoint, trust_env=False, timeout=30) as client:
        yield client


# --- messages -------------------------------------------------------------------------------------------------------


def message(seller: str, order: str, number: int) -> str:
    """ORDER_CHANGE as Amazon writes it, as far as it is read."""
    return json.dumps(
        {
            "NotificationVersion": "1.0",
            "NotificationType": "ORDER_CHANGE",
            "PayloadVersion": "1.0",
            "EventTime": "2026-11-20T06:31:12.418Z",
            "Payload": {
                "OrderChangeNotification": {
                    "NotificationLevel": "OrderLevel",
                    "SellerId": seller,
                    "AmazonOrderId": order,
                    "OrderChangeType": "OrderStatusChange",
                    "Summary": {"MarketplaceId": "A21TJRUUN4KGV", "OrderStatus": "Unshipped"},
                }
            },
            "NotificationMetadata": {"NotificationId": f"00000000-0000-4000-8000-{number:012d}"},
        }
    )


async def _sent(far: Far, bodies: Sequence[tuple[str, str]], rate: int) -> dict[str, float]:
    """Put messages (key, body) into the queue at `rate` a second, ten at most in a request; when each was sent."""
    at_once = min(10, max(1, rate // 4))
    sent: dict[str, float] = {}
    async with _sqs(far.queue.endpoint) as sqs:
        begun = time.perf_counter()
        for start in range(0, len(bodies), at_once):
            await asyncio.sleep(max(0.0, begun + (start + at_once) / rate - time.perf_counter()))
            some = bodies[start : start + at_once]
            now = time.perf_counter()
            entries = [{"Id": str(n), "MessageBody": body} for n, (_, body) in enumerate(some)]
            answer = await ask(sqs, "SendMessageBatch", QueueUrl=far.queue.url, Entries=entries)
            if answer.get("Failed"):
                raise AssertionError(answer)
            sent |= dict.fromkeys((key for key, _ in some), now)
    return sent


async def _bare_queue(far: Far, wanted: Load) -> list[float]:
    """Seconds from sending to receiving with nothing in between, by two loops as the product has."""
    bodies = [(str(n), message(seller_id(0), str(n), n)) for n in range(wanted.rate * 10)]
    got: dict[str, float] = {}

    async def receive() -> None:
        async with _sqs(far.queue.endpoint) as sqs:
            while len(got) < len(bodies):
                answer = await ask(
                    sqs, "ReceiveMessage", QueueUrl=far.queue.url, MaxNumberOfMessages=10, WaitTimeSeconds=1
                )
                found = answer.get("Messages") or []
                for each in found:
                    order = json.loads(each["Body"])["Payload"]["OrderChangeNotification"]["AmazonOrderId"]
                    got.setdefault(order, time.perf_counter())
                if found:
                    entries = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(found)]
                    await ask(sqs, "DeleteMessageBatch", QueueUrl=far.queue.url, Entries=entries)

    sent, *_ = await asyncio.gather(_sent(far, bodies, wanted.rate), receive(), receive())
    return [got[key] - at for key, at in sent.items()]


# --- the product ----------------------------------------------------------------------------------------------------


async def _stores(ground: Ground, name: str, far: Far, sellers: int) -> list[Store]:
    """A company for each seller, connected and read so far."""
    stores: list[Store] = []
    async with DeskClient(far.sandbox_url) as desk, ground.product(ground.app(name)):
        for number in range(sellers):
            seller, company = seller_id(number), new_id()
            refresh = await desk.amazon.refresh_token(seller)
            orders = [order.id for order in await desk.amazon.orders(seller)]
            async with tenancy.acting_for(company) as session:
                session.add(Company(company_id=company, id=company, name=f"Seller {number}", settings={}))
                await session.flush()
                connected = await connections.connect(
                    session,
                    vendor="amazon",
                    kind=Kind.channel,
                    external_id=seller,
                    name=f"Seller {number}",
                    credentials=AmazonCredentials(refresh_token=SecretStr(refresh)),
                    settings=StoreSettings().model_dump(),
                )
                # Read a moment ago: what comes now comes by notification.
                now = clock.now()
                session.add(
                    StoreSync(
                        company_id=company,
                        id=connected.id,
                        swept_through=now,
                        next_sweep_at=now + timedelta(minutes=15),
                        topics=[],
                        missing_scopes=[],
                    )
                )
                by = Member.person(company, new_id(), Role.owner)
                issued = await api_keys.issue_key(session, by=by, name="bench", scopes=["orders:read"])
            stores.append(Store(company, connected.id, seller, issued.token, orders))
    return stores


async def _measured(ground: Ground, name: str, far: Far, wanted: Load, port: int) -> list[float]:
    stores = await _stores(ground, name, far, wanted.sellers)
    numbers = itertools.count(1_000_000)
    warm = [(store.orders[0], message(store.seller, store.orders[0], next(numbers))) for store in stores]
    left = {store.seller: iter(store.orders[1:]) for store in stores}
    counted = list(_by_chance(stores, left, wanted.messages, numbers))
    owner = await db.open_connection(ground.owner(name))
    await _working(owner)
    async with _seen(owner, stores, port) as seen:
        await _sent(far, warm, wanted.rate)  # tokens are fetched, statements prepared
        await _until(lambda: len(seen) == len(warm))
        sent = await _sent(far, counted, wanted.rate)
        await _until(lambda: all(key in seen for key in sent))
    await owner.close()
    if wanted.paced:
        await _nothing_overdrawn(far)
    return [seen[key] - at for key, at in sent.items()]


def _by_chance(
    stores: Sequence[Store], left: dict[str, Iterator[str]], count: int, numbers: Iterator[int]
) -> Iterator[tuple[str, str]]:
    dice = random.Random(20261122)
    while count:
        store = dice.choice(stores)
        order = next(left[store.seller], None)
        if order is not None:
            count -= 1
            yield order, message(store.seller, order, next(numbers))


@asynccontextmanager
async def _seen(owner: db.Wire, stores: Sequence[Store], port: int) -> AsyncGenerator[dict[str, float]]:
    """Amazon's id of an order → when the API answered with it. The table is watched only to know what to ask for."""
    tokens = {store.company: store.token for store in stores}
    seen: dict[str, float] = {}
    asked: set[str] = set()

    async def ask_for(http: httpx2.AsyncClient, company: UUID, order: UUID, at_amazon: str) -> None:
        headers = {"authorization": f"Bearer {tokens[company]}"}
        (await http.get(f"/api/v1/orders/{order}", headers=headers)).raise_for_status()
        seen[at_amazon] = time.perf_counter()

    async def watch() -> None:
        async with (
            httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as http,
            asyncio.TaskGroup() as group,
        ):
            while True:
                rows = await owner.fetch(
                    "SELECT company_id, id, external_id FROM orders WHERE created_at > $1", clock.now() - RECENT
                )
                for row in rows:
                    if row["external_id"] not in asked:
                        asked.add(row["external_id"])
                        group.create_task(ask_for(http, row["company_id"], row["id"], row["external_id"]))
                await asyncio.sleep(LOOK_SECONDS)

    watching = asyncio.create_task(watch())
    try:
        yield seen
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


async def _working(owner: db.Wire) -> None:
    """Until the worker of this database has come up."""
    async with asyncio.timeout(LONGEST):
        while not await owner.fetchval(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'shipcrowd-queue'"
        ):
            await asyncio.sleep(LOOK_SECONDS)


async def _until(good: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONGEST):
        while not good():
            await asyncio.sleep(LOOK_SECONDS)


async def _nothing_overdrawn(far: Far) -> None:
    async with DeskClient(far.sandbox_url) as desk:
        if overdrawn := (await desk.amazon.stats()).overdrawn:
            raise AssertionError(f"asked more often than allowed: {overdrawn}")


# --- the sweep ------------------------------------------------------------------------------------------------------


async def _bare_pages(far: Far) -> float:
    """Orders a second of the stand-in itself: the same pages, read and thrown away."""
    async with DeskClient(far.sandbox_url) as desk:
        refresh = await desk.amazon.refresh_token(seller_id(0))
    app = Credentials()
    form = {
        "grant_type": "refresh_token",
        "refresh_token": refresh,
        "client_id": app.amazon_client_id,
        "client_secret": app.amazon_client_secret,
    }
    async with httpx2.AsyncClient(base_url=far.sandbox_url, trust_env=False, timeout=30) as http:
        token = (await http.post("/api.amazon.com/auth/o2/token", data=form)).json()["access_token"]
        headers = {"x-amz-access-token": token, "user-agent": "bench/1 (Language=Python)"}
        query = {
            "lastUpdatedAfter": (clock.now() - 2 * AGO).isoformat(),
            "marketplaceIds": "A21TJRUUN4KGV",
            "includedData": "BUYER,RECIPIENT,PROCEEDS,CANCELLATION,FULFILLMENT,PACKAGES,TAX,PAYMENT",
        }
        count, begun, page = 0, time.perf_counter(), dict[str, Any]()
        while count == 0 or "pagination" in page:
            more = {"paginationToken": page["pagination"]["nextToken"]} if page else {}
            answer = await http.get(
                "/sellingpartnerapi-eu.amazon.com/orders/2026-01-01/orders", params=query | more, headers=headers
            )
            page = answer.raise_for_status().json()
            count += len(page["orders"])
    if count != SWEPT:
        raise AssertionError(f"the stand-in lists {count} orders, not {SWEPT}")
    return count / (time.perf_counter() - begun)


async def _swept(ground: Ground, name: str, far: Far) -> float:
    """Orders a second from the sweep's being asked for to the last order's being stored."""
    [store] = await _stores(ground, name, far, 1)
    owner = await db.open_connection(ground.owner(name))
    await _working(owner)
    try:
        async with ground.product(ground.app(name)), tenancy.acting_for(store.company) as session:
            sync = await session.get_one(StoreSync, (store.company, store.connection))
            sync.swept_through = None  # as after connecting: everything of the last thirty days
            await channel_jobs.sweep.enqueue(session, company_id=store.company, connection_id=store.connection)
        begun = time.perf_counter()
        stored: Callable[[], Awaitable[int]] = lambda: owner.fetchval("SELECT count(*) FROM orders")  # noqa: E731
        async with asyncio.timeout(LONGEST):
            while await stored() < SWEPT:
                await asyncio.sleep(LOOK_SECONDS)
        return SWEPT / (time.perf_counter() - begun)
    finally:
        await owner.close()
