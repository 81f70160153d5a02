"""Webhook intake: verified, stored and its job enqueued (one for those that come at one time), over HTTP, beside a bare
route that does one INSERT."""

import asyncio
import itertools
import json
import random
from collections.abc import Iterator
from uuid import UUID

import uvloop
from pydantic import SecretStr

from bench import bare, load
from bench.ground import APP_SECRET, Ground
from bench.rows import Row, percentile
from shipcrowd.connections import service as connections
from shipcrowd.connections.models import Kind
from shipcrowd.identity.models import Company
from shipcrowd.integrations import shopify
from shipcrowd.integrations.shopify.account import ShopifyCredentials
from shipcrowd.kernel import clock, db, tenancy
from shipcrowd.kernel.ids import new_id

SHOP = "bench.myshopify.com"
CONNECTIONS = 32
SECONDS = 6.0
MOST = 40_000
ROUNDS = 2
BODIES = 200


def bench(ground: Ground) -> list[Row]:
    """Deliveries a second of one serving process. The two take turns, and the better round of each counts."""
    url = ground.database("intake")
    asyncio.run(_connected_store(ground, url))
    asyncio.run(_plain_table(ground))
    signed, plain = itertools.islice(deliveries(), MOST), itertools.islice(bodies(), MOST)
    ours, theirs = list[load.Answers](), list[load.Answers]()
    with ground.serving("intake", url) as us, ground.serving("bare", url, baseline=True) as them:
        _run(us.port, signed, seconds=1)  # the store's route and secret are remembered, statements prepared
        _run(them.port, plain, seconds=1)
        for _ in range(ROUNDS):
            theirs.append(_run(them.port, plain, seconds=SECONDS))
            ours.append(_run(us.port, signed, seconds=SECONDS))
    asyncio.run(_all_stored(ground, url, at_least=sum(len(answers.seconds) for answers in ours)))
    best, bare_best = max(ours, key=lambda a: a.rate), max(theirs, key=lambda a: a.rate)
    return [
        Row("webhook intake", best.rate, bare_best.rate, "deliveries/s", share=0.5),
        Row(
            f"  answer, p95 at {CONNECTIONS} connections",
            percentile(best.seconds, 95) * 1000,
            percentile(bare_best.seconds, 95) * 1000,
            "ms",
            smaller=True,
        ),
    ]


def _run(port: int, requests: Iterator[bytes], *, seconds: float) -> load.Answers:
    return uvloop.run(load.closed_loop(port, requests, connections=CONNECTIONS, seconds=seconds))


def order_payload(number: int) -> bytes:
    """An order as Shopify announces it, about 5 kB."""
    dice = random.Random(number)
    price = f"{dice.randrange(199, 4999)}.00"
    address = {
        "first_name": "Asha",
        "last_name": f"Rao {number}",
        "address1": f"{number % 90}, 4th Cross",
        "address2": "Indiranagar, near the lake",
        "city": "Bengaluru",
        "province": "Karnataka",
        "zip": f"{560001 + number % 99}",
        "country": "India",
        "country_code": "IN",
        "phone": f"+91 9{number:09d}",
    }
    line = {
        "name": "Steel bottle, one litre, blue",
        "title": "Steel bottle",
        "variant_title": "one litre / blue",
        "price": price,
        "quantity": 1,
        "current_quantity": 1,
        "fulfillable_quantity": 1,
        "grams": 420,
        "requires_shipping": True,
        "taxable": True,
        "total_discount": "0.00",
        "tax_lines": [{"title": "IGST", "rate": 0.18, "price": "76.12"}],
        "price_set": {name: {"amount": price, "currency_code": "INR"} for name in ("shop_money", "presentment_money")},
        "properties": [{"name": "Engraving", "value": "With love from Mysuru"}],
    }
    return json.dumps(
        {
            "id": 5_000_000_000 + number,
            "admin_graphql_api_id": f"gid://shopify/Order/{5_000_000_000 + number}",
            "name": f"#{number}",
            "created_at": "2026-11-22T10:14:00+05:30",
            "updated_at": "2026-11-22T10:14:00+05:30",
            "currency": "INR",
            "email": f"asha{number}@example.in",
            "financial_status": "pending",
            "fulfillment_status": None,
            "payment_gateway_names": ["Cash on Delivery (COD)"],
            "current_total_price": price,
            "total_outstanding": price,
            "tags": "festival, repeat buyer",
            "customer": {"first_name": "Asha", "last_name": f"Rao {number}", "default_address": address},
            "shipping_address": address,
            "billing_address": address,
            "line_items": [{**line, "id": number * 10 + n, "sku": f"BOT-{n}"} for n in range(3)],
        }
    ).encode()


def deliveries() -> Iterator[bytes]:
    """Signed deliveries without end, each with an id of its own."""
    now = clock.now()
    signed = [
        (shopify.webhooks.sign(APP_SECRET, "orders/create", SHOP, body, now), body)
        for body in map(order_payload, range(BODIES))
    ]
    for headers, body in itertools.cycle(signed):
        headers["x-shopify-webhook-id"] = str(new_id())
        yield load.request("POST", "/api/v1/webhooks/shopify", headers, body)


def bodies() -> Iterator[bytes]:
    """The same bodies under the same headers, for the bare route."""
    for raw in deliveries():
        yield raw.replace(b"POST /api/v1/webhooks/shopify ", b"POST /take ", 1)


async def _connected_store(ground: Ground, url: str) -> UUID:
    company_id = new_id()
    async with ground.product(url), tenancy.acting_for(company_id) as session:
        session.add(Company(company_id=company_id, id=company_id, name="Asha Traders", settings={}))
        await session.flush()
        await connections.connect(
            session,
            vendor="shopify",
            kind=Kind.channel,
            external_id=SHOP,
            name="Asha's shop",
            credentials=ShopifyCredentials(access_token=SecretStr("shpat_bench_token")),
        )
    return company_id


async def _plain_table(ground: Ground) -> None:
    owner = await db.open_connection(ground.owner("intake"))
    try:
        await owner.execute(bare.TABLE)
        await owner.execute(f"GRANT INSERT ON bare_bodies TO {tenancy.APP_ROLE}")
    finally:
        await owner.close()


async def _all_stored(ground: Ground, url: str, *, at_least: int) -> None:
    """A figure counts only when what was answered is there."""
    owner = await db.open_connection(ground.owner("intake"))
    try:
        stored = await owner.fetchval("SELECT count(*) FROM inbox")
        jobs = await owner.fetchval("SELECT count(*) FROM pgqueuer WHERE entrypoint = 'channels.take_in'")
    finally:
        await owner.close()
    if stored < at_least or not jobs:
        raise AssertionError(f"{at_least} were answered, {stored} stored, {jobs} enqueued")
