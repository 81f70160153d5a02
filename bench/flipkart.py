"""Flipkart, in real processes against its stand-in: how soon a signed notification is an order, how fast a store is
read, and what its labels cost. Beside each, the least that does the same with the same stand-in.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx2

from bench import load
from bench.ground import Ground
from bench.rows import Row, percentile
from shipcrowd import process
from shipcrowd.channels import service
from shipcrowd.demo.stage import free_port
from shipcrowd.identity.models import Company
from shipcrowd.kernel import db, tenancy
from shipcrowd.kernel.ids import new_id
from shipcrowd.sandbox.client import DeskClient
from shipcrowd.sandbox.flipkart.schemas import KnobChange, Many, NewSeller, NewShipment, NotificationTarget, SellerView
from shipcrowd.settings import settings

STORES = 50
PACED, PACED_SECONDS, PACED_P99 = 10, 20, 3000
UNPACED, UNPACED_SECONDS, UNPACED_P99 = 50, 10, 1000
SHIPMENTS, SHIPMENTS_A_SECOND = 10_000, 400
LABELS, LABELS_A_SECOND, LABELS_MB = 1_000, 50, 200
AT_ONCE = 25  # shipments a call
LOOK_EVERY = 0.02
MOST_SECONDS = 120
FLIPKART = "api.flipkart.net"


@dataclass(frozen=True)
class Stage:
    """The stand-ins, the API and one worker, running."""

    ground: Ground
    name: str
    database: str
    api_port: int
    sandbox: str

    def notified_at(self, seller: str) -> NotificationTarget:
        url = f"http://127.0.0.1:{self.api_port}/api/v1/webhooks/flipkart/{seller}"
        return NotificationTarget(url=url, own_app=True)


def bench(ground: Ground) -> list[Row]:
    """All three; each on a database of its own."""
    return [*notified(ground), *read(ground), *labels(ground)]


# --- notifications --------------------------------------------------------------------------------------------------


def notified(ground: Ground) -> list[Row]:
    """From the buyer's order to the order in our table, at Flipkart's limits and without them."""
    rows: list[Row] = []
    for name, rate, seconds, most, paced in (
        (f"notification → order, p99, {PACED}/s, real paces", PACED, PACED_SECONDS, PACED_P99, True),
        (f"notification → order, p99, {UNPACED}/s, paces off", UNPACED, UNPACED_SECONDS, UNPACED_P99, False),
    ):
        with stage(ground, f"flipkart_{rate}", paced=paced) as stands:
            ours, bare = asyncio.run(_notified(stands, rate, seconds, paced=paced))
        rows += [
            Row(name, percentile(ours, 99) * 1000, percentile(bare, 99) * 1000, "ms", target=most, smaller=True),
            Row("  p50", percentile(ours, 50) * 1000, percentile(bare, 50) * 1000, "ms"),
        ]
    return rows


async def _notified(stands: Stage, rate: int, seconds: int, *, paced: bool) -> tuple[list[float], list[float]]:
    async with _driving(stands, paced=paced) as desk:
        sellers = [await desk.flipkart.create_seller(NewSeller(name=f"Store {n}")) for n in range(STORES)]
        async with stands.ground.product(stands.database):
            for seller in sellers:
                await _connect(seller)
        await _swept(stands, STORES)
        bare = await _all_bare(stands, desk, sellers, rate, seconds)
        for seller in sellers:
            await desk.flipkart.notify(seller.id, stands.notified_at(seller.id))
        seen = dict[str, float]()
        looking = asyncio.create_task(_look(stands, seen))
        placed = dict[str, float]()

        async def place(seller: SellerView) -> None:
            began = time.perf_counter()
            made = await desk.flipkart.place(seller.id, NewShipment())
            placed[made.id] = began

        await _at_a_rate(sellers, rate, seconds, place)
        async with asyncio.timeout(MOST_SECONDS):
            while not set(placed) <= set(seen):
                await asyncio.sleep(LOOK_EVERY)
        looking.cancel()
        return [seen[each] - began for each, began in placed.items()], bare


async def _at_a_rate(
    sellers: Sequence[SellerView], rate: int, seconds: int, act: Callable[[SellerView], Any]
) -> list[float]:
    """One after another of the sellers, whatever the answers do; the seconds each took."""
    took: list[float] = []

    async def one(seller: SellerView) -> None:
        began = time.perf_counter()
        await act(seller)
        took.append(time.perf_counter() - began)

    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for n in range(rate * seconds):
            await asyncio.sleep(max(0.0, begun + n / rate - time.perf_counter()))
            group.create_task(one(sellers[n % len(sellers)]))
    return took


async def _look(stands: Stage, seen: dict[str, float]) -> None:
    """Note when each order is in the table."""
    owner = await db.open_connection(stands.ground.owner(stands.name))
    try:
        since = 0
        while True:
            rows = await owner.fetch(
                "SELECT external_id FROM orders ORDER BY created_at OFFSET $1", max(since - 100, 0)
            )
            now = time.perf_counter()
            for row in rows:
                seen.setdefault(row["external_id"], now)
            since = len(seen)
            await asyncio.sleep(LOOK_EVERY)
    finally:
        await owner.close()


BARE_TABLE = "CREATE TABLE bare_shipments (id text PRIMARY KEY, said text, more text)"


@dataclass(frozen=True)
class Bare:
    """What a receiver needs that does only what it must: one client, one connection, each seller's token."""

    http: httpx2.AsyncClient
    owner: db.Wire
    tokens: dict[str, str]
    turn: asyncio.Lock


async def _all_bare(
    stands: Stage, desk: DeskClient, sellers: Sequence[SellerView], rate: int, seconds: int
) -> list[float]:
    """The seconds each of as many shipments takes when nothing is done that need not be."""
    owner = await db.open_connection(stands.ground.owner(stands.name))
    try:
        await owner.execute(BARE_TABLE)
        async with httpx2.AsyncClient(trust_env=False, timeout=30) as http:
            tokens = {seller.id: await _token(stands.sandbox, http, seller) for seller in sellers}
            bare = Bare(http, owner, tokens, asyncio.Lock())
            return await _at_a_rate(sellers, rate, seconds, lambda seller: _read_bare(stands, desk, seller, bare))
    finally:
        await owner.close()


async def _read_bare(stands: Stage, desk: DeskClient, seller: SellerView, bare: Bare) -> None:
    """A shipment placed, read with its details, and one row written: what any receiver has to do."""
    made = await desk.flipkart.place(seller.id, NewShipment(silent=True))
    headers = {"authorization": f"Bearer {bare.tokens[seller.id]}"}
    base = f"{stands.sandbox}/{FLIPKART}/sellers/v3/shipments"
    one = await bare.http.get(base, params={"shipmentIds": made.id}, headers=headers)
    more = await bare.http.get(f"{base}/{made.id}", headers=headers)
    async with bare.turn:
        await bare.owner.execute("INSERT INTO bare_shipments VALUES ($1, $2, $3)", made.id, one.text, more.text)


# --- reading a store ------------------------------------------------------------------------------------------------


def read(ground: Ground) -> list[Row]:
    """A store that has many shipments when it is connected, beside a bare client that reads the same pages."""
    with stage(ground, "flipkart_read", paced=False) as stands:
        ours, bare = asyncio.run(_read(stands))
    return [Row(f"{SHIPMENTS:,} shipments read, paces off", ours, bare, "shipments/s", target=SHIPMENTS_A_SECOND)]


async def _read(stands: Stage) -> tuple[float, float]:
    async with _driving(stands, paced=False) as desk:
        seller = await desk.flipkart.create_seller(NewSeller())
        await desk.flipkart.place_many(seller.id, Many(count=SHIPMENTS, over_hours=48))
        bare = await _pages_bare(stands, seller)
        owner = await db.open_connection(stands.ground.owner(stands.name))
        try:
            began = time.perf_counter()
            async with stands.ground.product(stands.database):
                await _connect(seller)
            async with asyncio.timeout(MOST_SECONDS * 3):
                while await owner.fetchval("SELECT count(*) FROM orders") < SHIPMENTS:
                    await asyncio.sleep(LOOK_EVERY * 5)
            return SHIPMENTS / (time.perf_counter() - began), bare
        finally:
            await owner.close()


async def _pages_bare(stands: Stage, seller: SellerView) -> float:
    """Page after page as the stand-in hands them on, each with its details: shipments a second. Nothing is kept."""
    base = f"{stands.sandbox}/{FLIPKART}/sellers"
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
        http.headers["authorization"] = f"Bearer {await _token(stands.sandbox, http, seller)}"
        asked = {
            "filter": {"type": "preDispatch", "states": ["APPROVED"]},
            "pagination": {"pageSize": 20},
            "sort": {"field": "modifiedDate", "order": "asc"},
        }
        began, found = time.perf_counter(), 0
        answer = (await http.post(f"{base}/v3/shipments/filter", json=asked)).json()
        while True:
            ids = ",".join(each["shipmentId"] for each in answer["shipments"])
            await http.get(f"{base}/v3/shipments/{ids}")
            found += len(answer["shipments"])
            if not answer["hasMore"]:
                return found / (time.perf_counter() - began)
            answer = (await http.get(f"{base}{answer['nextPageUrl']}")).json()


# --- labels ---------------------------------------------------------------------------------------------------------


def labels(ground: Ground) -> list[Row]:
    """Fetched one by one, stored, and put together, in a process of their own; our time, and its memory. The baseline
    fetches the same and keeps nothing."""
    with stage(ground, "flipkart_labels", paced=False) as stands:
        figures, bare = asyncio.run(_labels(stands))
    return [
        Row(f"{LABELS:,} labels kept and merged", LABELS / figures["busy"], bare, "labels/s", target=LABELS_A_SECOND),
        Row("  the process, at most", figures["megabytes"], None, "MB", target=LABELS_MB, smaller=True),
    ]


async def _labels(stands: Stage) -> tuple[dict[str, float], float]:
    async with _driving(stands, paced=False) as desk, httpx2.AsyncClient(trust_env=False, timeout=60) as http:
        seller = await desk.flipkart.create_seller(NewSeller())
        await desk.flipkart.place_many(seller.id, Many(count=LABELS))
        token = await _token(stands.sandbox, http, seller)
        http.headers["authorization"] = f"Bearer {token}"
        base = f"{stands.sandbox}/{FLIPKART}/sellers/v3/shipments"
        ids = [each.id for each in await desk.flipkart.shipments(seller.id)]
        for start in range(0, len(ids), AT_ONCE):
            some = ids[start : start + AT_ONCE]
            found = (await http.get(base, params={"shipmentIds": ",".join(some)})).json()["shipments"]
            answer = await http.post(f"{base}/labels", json={"shipments": [_packing(each) for each in found]})
            refused = [each for each in answer.json()["shipments"] if each["status"] != "SUCCESS"]
            if refused:
                raise AssertionError(f"not packed: {refused[0]}")
        busy = time.process_time()
        for each in ids:
            (await http.get(f"{base}/{each}/labels")).raise_for_status()
        bare = len(ids) / (time.process_time() - busy)
    folder = stands.ground.folder / "labels"
    folder.mkdir()
    command = [sys.executable, "-m", "bench.flipkart_labels", stands.sandbox, token, str(folder)]
    told = await asyncio.to_thread(
        subprocess.run, command, input="\n".join(ids), capture_output=True, text=True, check=True, timeout=MOST_SECONDS
    )
    if len(list(folder.rglob("*.pdf"))) != LABELS:
        raise AssertionError("not every label was stored")
    figures: dict[str, float] = json.loads(told.stdout.splitlines()[-1])
    return figures, bare


def _packing(shipment: dict[str, Any]) -> dict[str, Any]:
    items, sub = shipment["orderItems"], shipment["subShipments"][0]
    return {
        "shipmentId": shipment["shipmentId"],
        "locationId": shipment["locationId"],
        "taxItems": [{"orderItemId": i["orderItemId"], "quantity": i["quantity"], "taxRate": 0} for i in items],
        "invoices": [{"orderId": items[0]["orderId"], "invoiceDate": "2026-11-22"}],
        "subShipments": [
            {
                "subShipmentId": sub["subShipmentId"],
                "dimensions": {"length": 28, "breadth": 9, "height": 9, "weight": 0.4},
            }
        ],
    }


# --- the stage ------------------------------------------------------------------------------------------------------


@contextmanager
def stage(ground: Ground, name: str, *, paced: bool) -> Generator[Stage]:
    """Three processes on a fresh database, and this one set up as they are; undone at the end."""
    ports = [free_port(0) for _ in range(2)]
    sandbox = f"http://127.0.0.1:{ports[1]}"
    url = ground.database(name)
    added = {
        "SHIPCROWD_SANDBOX": "1",
        "SHIPCROWD_SANDBOX_URL": sandbox,
        "SHIPCROWD_PUBLIC_URL": f"http://127.0.0.1:{ports[0]}",
    }
    os.environ.update(added)
    settings.cache_clear()
    try:
        process.configure(settings().model_copy(update={"log_level": "ERROR", "log_format": "text"}))
        product = "shipcrowd" if paced else "bench.unpaced"
        with (
            ground.running(f"{name}-sandbox", url, "shipcrowd.sandbox", "--port", str(ports[1])),
            ground.running(f"{name}-api", url, product, "serve", "--port", str(ports[0])),
            ground.running(f"{name}-worker", url, product, "worker"),
        ):
            for port in ports:
                asyncio.run(_listening(port))
            yield Stage(ground, name, url, ports[0], sandbox)
    finally:
        for each in added:
            os.environ.pop(each)
        settings.cache_clear()
        process.configure(settings().model_copy(update={"log_level": "WARNING", "log_format": "text"}))


async def _listening(port: int) -> None:
    async with asyncio.timeout(MOST_SECONDS):
        while True:
            try:
                (await load.connect(port)).close()
                return
            except OSError:
                await asyncio.sleep(0.1)


@asynccontextmanager
async def _driving(stands: Stage, *, paced: bool) -> AsyncGenerator[DeskClient]:
    async with DeskClient(stands.sandbox) as desk:
        limits = KnobChange() if paced else KnobChange(per_second=0, per_hour=0)
        await desk.flipkart.set_knobs(limits.model_copy(update={"pack_seconds": 0}))
        yield desk


async def _connect(seller: SellerView) -> UUID:
    """The seller's own company, its store connected by an application of its own."""
    company_id = new_id()
    async with tenancy.acting_for(company_id) as session:
        session.add(Company(company_id=company_id, id=company_id, name=seller.name, settings={}))
    given = {"app_id": seller.app_id, "app_secret": seller.app_secret}
    return await service.connect_pasted(company_id, platform="flipkart", store=seller.id, given=given, actor="bench")


async def _swept(stands: Stage, stores: int) -> None:
    """Until every store was read once."""
    owner = await db.open_connection(stands.ground.owner(stands.name))
    try:
        async with asyncio.timeout(MOST_SECONDS):
            while await owner.fetchval("SELECT count(*) FROM store_syncs WHERE swept_through IS NOT NULL") < stores:
                await asyncio.sleep(0.2)
    finally:
        await owner.close()


async def _token(sandbox: str, http: httpx2.AsyncClient, seller: SellerView) -> str:
    answer = await http.get(
        f"{sandbox}/{FLIPKART}/oauth-service/oauth/token",
        params={"grant_type": "client_credentials", "scope": "Seller_Api"},
        auth=(seller.app_id, seller.app_secret),
    )
    answer.raise_for_status()
    return str(answer.json()["access_token"])
