"""25,000 SKUs set at Amazon by one feed: built, sent, and its report taken in, through the whole product on its
database in a process of its own. Amazon's stand-in has another; while it works off the feed, nobody's clock runs.

The baseline, in a third process of the same modules, is what cannot be spared: the messages written as JSON by the
standard library, and put where the stand-in says.
"""

import asyncio
import contextlib
import json
import os
import sys
import time
from pathlib import Path
from uuid import UUID

import httpx2
from sqlalchemy import select

from bench.ground import Ground
from bench.rows import Row
from shipcrowd import process
from shipcrowd.channels import reading, service, stock, stocking
from shipcrowd.channels.models import StockFeed, StockPush
from shipcrowd.channels.stock import Level
from shipcrowd.connections import service as connections
from shipcrowd.demo.stage import free_port
from shipcrowd.identity.models import Company
from shipcrowd.kernel import db, outbound, tenancy
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.jobs import Later
from shipcrowd.kernel.outbound import Unavailable
from shipcrowd.sandbox.amazon.schemas import AmazonKnobChange, NewSeller
from shipcrowd.sandbox.app import route_through
from shipcrowd.sandbox.client import DeskClient
from shipcrowd.sandbox.desk import Credentials
from shipcrowd.settings import settings

SKUS = 25_000
MOST_SECONDS = 15.0
MOST_MB = 250.0
PATIENCE = 100
JSON = "application/json; charset=UTF-8"

Figures = dict[str, float]


def bench(ground: Ground) -> list[Row]:
    """Seconds from the push to the last SKU's answer, and the most memory the process ever held."""
    url, port = ground.database("feeding"), free_port(0)
    with ground.running("feeding-amazon", url, "shipcrowd.sandbox", "--port", str(port)):
        bare = _child(ground, url, port, "bare")
        ours = _child(ground, url, port, "ours")
    return [
        Row(f"amazon: {SKUS:,} SKUs by feed", ours["seconds"], bare["seconds"], "s", target=MOST_SECONDS, smaller=True),
        Row("  of it CPU", ours["cpu"], bare["cpu"], "s", smaller=True),
        Row("  memory, at most", ours["megabytes"], bare["megabytes"], "MB", target=MOST_MB, smaller=True),
        Row(f"  {SKUS:,} listings read first", ours["read"], None, "s"),
    ]


def _child(ground: Ground, url: str, port: int, who: str) -> Figures:
    told = ground.folder / f"feeding-{who}.json"
    with ground.running(f"feeding-{who}", url, "bench.feeding", who, str(port), str(told)) as child:
        child.wait(PATIENCE)
    if child.returncode != 0:
        raise RuntimeError((ground.folder / f"feeding-{who}.log").read_text(errors="replace")[-3000:])
    return json.loads(told.read_text())


# --- the children -----------------------------------------------------------------------------------------------------


async def ours(base: str) -> Figures:
    keys = Credentials()
    os.environ["SHIPCROWD_AMAZON_CLIENT_ID"] = keys.amazon_client_id
    os.environ["SHIPCROWD_AMAZON_CLIENT_SECRET"] = keys.amazon_client_secret
    settings.cache_clear()
    process.configure(settings().model_copy(update={"log_level": "WARNING", "log_format": "text"}))
    outbound.use_wire(route=route_through(base))
    app_url = settings().app_database_url
    assert app_url is not None
    db.connect(str(app_url), pool=10)
    try:
        async with DeskClient(base) as desk:
            seller, token = await _seller(desk)
            company, store = await _connected(seller, token)
            begun = time.perf_counter()
            await _read(company, store)
            read = time.perf_counter() - begun
            return {"read": read, **await _pushed(desk, seller, company, store)}
    finally:
        await db.disconnect()


async def _pushed(desk: DeskClient, seller: str, company: UUID, store: UUID) -> Figures:
    levels = [Level(n % 500, sku=_sku(n)) for n in range(1, SKUS + 1)]
    begun, cpu = time.perf_counter(), time.process_time()
    async with tenancy.acting_for(company) as session:
        push = await stock.make(session, await connections.get(session, store), levels, actor="bench")
    await stocking.send_stock.run(company, store)
    async with tenancy.acting_for(company) as session:
        feed = (await session.execute(select(StockFeed))).scalar_one()
    with contextlib.suppress(Later):  # asked for; it is looked at later
        await stocking.follow_feed.run(company, feed.id)
    seconds, spent = time.perf_counter() - begun, time.process_time() - cpu
    while (await desk.amazon.feeds(seller))[0].status != "DONE":
        await asyncio.sleep(0.2)
    begun, cpu = time.perf_counter(), time.process_time()
    await stocking.follow_feed.run(company, feed.id)
    seconds, spent = seconds + time.perf_counter() - begun, spent + time.process_time() - cpu
    async with tenancy.acting_for(company) as session:
        told = (await session.execute(select(StockPush).where(StockPush.id == push.id))).scalar_one()
    assert (told.state, told.accepted) == ("done", SKUS), (told.state, told.accepted, told.refused)
    return {"seconds": seconds, "cpu": spent, "megabytes": _most_memory()}


async def bare(base: str) -> Figures:
    keys, route = Credentials(), route_through(base)
    async with DeskClient(base) as desk, httpx2.AsyncClient(trust_env=False, timeout=60) as http:
        seller, refresh = await _seller(desk)
        form = {
            "grant_type": "refresh_token",
            "refresh_token": refresh,
            "client_id": keys.amazon_client_id,
            "client_secret": keys.amazon_client_secret,
        }
        signed_in = await http.post(route("https://api.amazon.com/auth/o2/token"), data=form)
        headers = {"x-amz-access-token": signed_in.json()["access_token"], "user-agent": "bench"}
        begun, cpu = time.perf_counter(), time.process_time()
        api = route("https://sellingpartnerapi-eu.amazon.com/feeds/2021-06-30/documents")
        made = (await http.post(api, json={"contentType": JSON}, headers=headers)).json()
        content = json.dumps(
            {
                "header": {"sellerId": seller, "version": "2.0"},
                "messages": [_message(n) for n in range(1, SKUS + 1)],
            }
        ).encode()
        put = await http.put(route(made["url"]), content=content, headers={"content-type": JSON})
        assert put.status_code == 200, put.text
        seconds, spent = time.perf_counter() - begun, time.process_time() - cpu
    return {"seconds": seconds, "cpu": spent, "megabytes": _most_memory()}


def _message(number: int) -> dict[str, object]:
    value = [{"fulfillment_channel_code": "DEFAULT", "quantity": number % 500}]
    patch = {"op": "merge", "path": "/attributes/fulfillment_availability", "value": value}
    return {
        "messageId": number,
        "sku": _sku(number),
        "operationType": "PATCH",
        "productType": "PRODUCT",
        "patches": [patch],
    }


def _sku(number: int) -> str:
    return f"SKU-{number:05d}"


async def _seller(desk: DeskClient) -> tuple[str, str]:
    """A seller with as many listings, and the word of theirs."""
    quick = AmazonKnobChange(feed_queue_seconds=0, feed_work_seconds=0, report_seconds=0, listing_seconds=0)
    await desk.amazon.set_knobs(quick)
    made = await desk.amazon.create_seller(NewSeller(goods=SKUS))
    return made.id, await desk.amazon.refresh_token(made.id)


async def _connected(seller: str, refresh_token: str) -> tuple[UUID, UUID]:
    company = new_id()
    async with tenancy.acting_for(company) as session:
        session.add(Company(company_id=company, id=company, name="Asha Traders", settings={}))
    given = {"refresh_token": refresh_token, "marketplace": "IN"}
    return company, await service.connect_pasted(
        company, platform="amazon", store=seller, given=given, actor="bench"
    )  # fmt: skip


async def _read(company: UUID, store: UUID) -> None:
    await reading.read_marketplace_stock.run(company, store)
    for _ in range(8):  # as often as getReports may be asked at once
        try:
            return await reading.read_listings.run(company, store)
        except Unavailable:
            await asyncio.sleep(2)
    raise TimeoutError("the report of all listings was never written")


def _most_memory() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise LookupError("this system does not tell a process's memory")


if __name__ == "__main__":
    asked, at, into = sys.argv[1:]
    figures = asyncio.run({"ours": ours, "bare": bare}[asked](f"http://127.0.0.1:{at}"))
    Path(into).write_text(json.dumps(figures))
