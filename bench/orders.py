"""Orders: taken in a page at a time into a company that has few and one that has many, and listed by every filter.

Both rows share one database, for the second needs what the first has stored.
"""

import asyncio
import itertools
import json
import random
import time
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import uvloop
from sqlalchemy import event

from bench import load
from bench.ground import Ground
from bench.rows import Row, percentile
from shipcrowd.identity import api_keys
from shipcrowd.identity.member import Member
from shipcrowd.identity.models import Company
from shipcrowd.identity.permissions import Role
from shipcrowd.kernel import db, events, schema, tenancy
from shipcrowd.kernel.clock import IST
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.jobs import job
from shipcrowd.kernel.money import Money
from shipcrowd.orders import queries, taking_in
from shipcrowd.orders.events import OrdersChanged, OrdersPlaced
from shipcrowd.orders.queries import OrderFilter
from shipcrowd.orders.schemas import IncomingLine, IncomingOrder, Payment, SourceState
from shipcrowd.orders.service import import_orders
from shipcrowd.pincodes.address import Address

PAGE = 250
STORED = 300_000
SAMPLE = 10_000
"""Orders a rate is measured over."""

NEIGHBOURS = 4
NEIGHBOUR_ORDERS = 2_500

RATE = 50.0
SECONDS = 12
WARM_UP = 100
LIST_MS = 60

PLACED = datetime(2026, 11, 22, 18, 0, tzinfo=IST)
CITIES = (
    ("Bengaluru", "Karnataka", "5600"), ("New Delhi", "Delhi", "1100"), ("Mumbai", "Maharashtra", "4000"),
    ("Chennai", "Tamil Nadu", "6000"), ("Kolkata", "West Bengal", "7000"), ("Jaipur", "Rajasthan", "3020"),
)  # fmt: skip
STATES = (SourceState.open,) * 6 + (SourceState.shipped, SourceState.delivered, SourceState.cancelled)
SKUS = 2_000


@job(name="bench.hear_placed")
async def hear_placed(company_id: UUID, order_ids: tuple[UUID, ...]) -> None:
    """A listener, so that an import is measured with its listeners' jobs; never run here."""


@job(name="bench.hear_changed")
async def hear_changed(company_id: UUID, order_ids: tuple[UUID, ...]) -> None:
    """As above."""


@dataclass(frozen=True)
class Stored:
    """The database with its orders, and what was measured while they came in (orders a second)."""

    url: str
    company: UUID
    few: float
    many: float
    bare: float


_stored: dict[int, Stored] = {}


def importing(ground: Ground) -> list[Row]:
    """Pages of 250 orders with three lines each, beside the bare statements."""
    stored = _filled(ground)
    few, many = f"order import, up to {SAMPLE:,} stored", f"order import, {STORED:,} stored"
    return [
        Row(few, stored.few, stored.bare, "orders/s", target=3_000, share=0.3),
        Row(many, stored.many, stored.bare, "orders/s", target=3_000, share=0.3),
        Row("  of the rate with few stored", stored.many / stored.few * 100, None, "%"),
    ]


def listing(ground: Ground) -> list[Row]:
    """Every filter in turn over HTTP at a steady rate, whatever the answers do, beside the same queries bare."""
    stored = _filled(ground)
    token, wanted, asked = asyncio.run(_asked(ground, stored))
    count = int(RATE * SECONDS)
    paths = list(itertools.islice(itertools.cycle(wanted), count))
    headers = {"authorization": f"Bearer {token}"}
    requests = [load.request("GET", f"/api/v1/orders?{path}", headers) for path in paths]
    with ground.serving("listing", stored.url) as served:
        uvloop.run(
            load.open_loop(served.port, requests[:50], rate=RATE)
        )  # statements prepared, pages of the table read
        ours = uvloop.run(load.open_loop(served.port, requests, rate=RATE))
    bare = uvloop.run(_bare_queries(stored, list(itertools.islice(itertools.cycle(asked), count))))
    return [
        Row(
            f"orders list, p95 at {RATE:.0f}/s, {STORED:,} stored",
            percentile(ours.seconds, 95) * 1000,
            percentile(bare, 95) * 1000,
            "ms",
            target=LIST_MS,
            smaller=True,
        ),
        Row("  p50", percentile(ours.seconds, 50) * 1000, percentile(bare, 50) * 1000, "ms", smaller=True),
    ]


# --- what comes in --------------------------------------------------------------------------------------------------


def incoming(number: int) -> IncomingOrder:
    """An order like others of a busy shop: 300,000 of them in about three months. The same for the same number."""
    dice = random.Random(number)
    city, state, pincode = dice.choice(CITIES)
    placed = PLACED - timedelta(seconds=25 * number)
    lines = tuple(_line(number, position, dice) for position in range(3))
    total = Money.total(line.unit_price * line.quantity for line in lines)
    cod = dice.random() < 0.6
    return IncomingOrder(
        external_id=str(5_000_000_000 + number),
        number=f"#{1_000_000 + number}",
        placed_at=placed,
        source_updated_at=placed,
        state=dice.choice(STATES),
        payment=Payment.cod if cod else Payment.prepaid,
        subtotal=total,
        total=total,
        to_collect=total if cod else Money.zero,
        ship_to=Address(
            name=f"Asha Rao {number}",
            phone=f"+91 9{dice.randrange(10**9):09d}",
            email=f"asha{number}@example.in",
            line1=f"{number % 90}, 4th Cross",
            line2="Near the lake",
            city=city,
            state=state,
            pincode=f"{pincode}{dice.randrange(1, 99):02d}",
        ),
        lines=lines,
        tags=("festival",) if number % 50 == 0 else (),
    )


def _line(number: int, position: int, dice: random.Random) -> IncomingLine:
    # A few goods sell most: the square of an even draw.
    sku = int(dice.random() ** 2 * SKUS)
    return IncomingLine(
        external_id=str(number * 10 + position),
        sku=f"SKU-{sku:04d}",
        name=f"Cotton kurta, hand printed, no. {sku}",
        quantity=dice.randrange(1, 4),
        unit_price=Money(19_900 + sku * 100),
        tax=Money(900),
        tax_rate_bp=500,
        hsn="6211",
        weight_grams=250 + sku % 500,
    )


def pages(first: int, count: int) -> Iterator[list[IncomingOrder]]:
    for start in range(first, first + count, PAGE):
        yield [incoming(number) for number in range(start, min(start + PAGE, first + count))]


# --- taking in ------------------------------------------------------------------------------------------------------


def _filled(ground: Ground) -> Stored:
    if id(ground) not in _stored:
        events.listen({OrdersPlaced: (hear_placed,), OrdersChanged: (hear_changed,)})
        url = ground.database("orders")
        _stored[id(ground)] = uvloop.run(_fill(ground, url))
    return _stored[id(ground)]


async def _fill(ground: Ground, url: str) -> Stored:
    company, store = new_id(), new_id()
    async with ground.product(url):
        async with tenancy.acting_for(company) as session:
            session.add(Company(company_id=company, id=company, name="Asha Traders", settings={}))
        for _ in range(NEIGHBOURS):
            await _import(new_id(), new_id(), pages(0, NEIGHBOUR_ORDERS))
        sample = list(pages(0, SAMPLE))
        await _bare_tables(ground)
        await _analyse(ground)
        bare = await _bare_statements(ground, url, company, store, sample)
        few = await _import(company, store, sample)
        rest = pages(SAMPLE, STORED - SAMPLE)
        await asyncio.gather(_import(company, store, rest), _import(company, store, rest))  # unmeasured, so two at once
        await _analyse(ground)
        many = await _import(company, store, list(pages(STORED, SAMPLE)))
    return Stored(url, company, few, many, bare)


async def _import(company: UUID, store: UUID, given: Iterable[Sequence[IncomingOrder]]) -> float:
    """Import the pages, each in its own transaction; orders a second, without the time it took to make them."""
    took, count = 0.0, 0
    for page in given:
        started = time.perf_counter()
        async with tenancy.acting_for(company) as session:
            done = await import_orders(session, connection_id=store, source="shopify", incoming=page)
        took += time.perf_counter() - started
        count += len(done.inserted)
    return count / took


BARE_TABLES = """
CREATE TABLE bare_orders (LIKE orders INCLUDING DEFAULTS, PRIMARY KEY (company_id, id),
                          UNIQUE (company_id, connection_id, external_id));
CREATE TABLE bare_lines (LIKE order_lines INCLUDING DEFAULTS, PRIMARY KEY (company_id, id),
                         UNIQUE (company_id, order_id, external_id),
                         FOREIGN KEY (company_id, order_id) REFERENCES bare_orders (company_id, id));
INSERT INTO bare_orders SELECT * FROM orders;
INSERT INTO bare_lines SELECT * FROM order_lines;
"""


async def _bare_tables(ground: Ground) -> None:
    """Tables with the columns, keys and row security of ours, and the neighbours' rows in them."""
    owner = await db.open_connection(ground.owner("orders"))
    try:
        for statement in (BARE_TABLES, schema.row_security(["bare_orders", "bare_lines"]), schema.grants()):
            await owner.execute(statement)
    finally:
        await owner.close()


async def _bare_statements(
    ground: Ground, url: str, company: UUID, store: UUID, given: Sequence[Sequence[IncomingOrder]]
) -> float:
    """The same rows through `jsonb_to_recordset` into keyed, row-secured tables: nothing read back, told or enqueued,
    and the rows put together beforehand. Orders a second."""
    upsert = taking_in.UPSERT.replace("INTO orders AS", "INTO bare_orders AS")
    insert = taking_in.LINES.replace("INTO order_lines AS", "INTO bare_lines AS")
    insert = insert.replace("UPDATE order_lines l", "UPDATE bare_lines l")
    prepared: list[tuple[str, str, list[UUID]]] = []
    for page in given:
        rows = [taking_in.order_row(company, store, order) for order in page]
        lines = [
            taking_in.line_row(row["id"], position, line)
            for row, order in zip(rows, page, strict=True)
            for position, line in enumerate(order.lines)
        ]
        prepared.append((_text(rows), _text(lines), [row["id"] for row in rows]))
    connection = await db.open_connection(url)
    started = time.perf_counter()
    for rows, lines, ids in prepared:
        async with _transaction(connection, company):
            await connection.execute(upsert, company, rows, "shopify", store, PLACED)
            await connection.execute(insert, company, lines, ids)
    took = time.perf_counter() - started
    await connection.close()
    return sum(map(len, given)) / took


def _text(rows: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps(rows, default=lambda value: value.paise if isinstance(value, Money) else str(value))


@asynccontextmanager
async def _transaction(connection: db.Wire, company: UUID) -> AsyncGenerator[None]:
    await connection.execute("BEGIN")
    await connection.execute("SELECT set_config('shipcrowd.company_id', $1, true)", str(company))
    yield
    await connection.execute("COMMIT")


async def _analyse(ground: Ground) -> None:
    """As autovacuum would have within the minute."""
    owner = await db.open_connection(ground.owner("orders"))
    try:
        await owner.execute("VACUUM ANALYZE")
    finally:
        await owner.close()


# --- listing --------------------------------------------------------------------------------------------------------


def filters() -> list[str]:
    """Query strings of the list, as people use it: a mix that goes through every filter."""
    dice = random.Random(7)
    found = ["", "state=ready", "payment=cod&state=ready", "problem=no&state=ready", "tag=festival"]
    for _ in range(12):
        number = dice.randrange(STORED)
        order = incoming(number)
        day = order.placed_at.date()
        assert order.ship_to is not None
        found += [
            f"state={dice.choice(('ready', 'shipped', 'delivered', 'cancelled'))}",
            f"state=ready&state=shipped&payment={dice.choice(('cod', 'prepaid'))}",
            f"placed_from={day - timedelta(days=6)}&placed_to={day}",
            f"placed_from={day}&placed_to={day}&state=ready&payment=cod",
            f"pincode={order.ship_to.pincode}",
            f"pincode={order.ship_to.pincode[:3]}&state=ready",
            f"sku=SKU-{dice.randrange(SKUS):04d}",
            f"sku={order.lines[0].sku}&state=ready",
            f"text={order.number[1:]}",
            f"text=%23{order.number[1:5]}",
            f"text={order.external_id}",
            f"text={str(order.ship_to.phone).removeprefix('+91 ')}",
            f"text={order.ship_to.email}",
            f"text={order.lines[1].sku}",
        ]
    dice.shuffle(found)
    return found


async def _asked(ground: Ground, stored: Stored) -> tuple[str, list[str], list[tuple[str, tuple[Any, ...]]]]:
    """A key to the API, the query strings, and the statement with its values that each one makes."""
    wanted = filters()
    caught: list[tuple[str, tuple[Any, ...]]] = []

    def catch(_c: Any, _cursor: Any, statement: str, values: tuple[Any, ...], _context: Any, _many: bool) -> None:
        if "FROM orders" in statement:
            caught.append((statement, values))

    async with ground.product(stored.url):
        async with tenancy.acting_for(stored.company) as session:
            by = Member.person(stored.company, new_id(), Role.owner)
            issued = await api_keys.issue_key(session, by=by, name="bench", scopes=["orders:read"])
        event.listen(db.engine().sync_engine, "before_cursor_execute", catch)
        for query in wanted:
            async with tenancy.acting_for(stored.company) as session:
                await queries.page_of(session, _parsed(query), after=None, limit=50)
    return issued.token, wanted, caught


def _parsed(query: str) -> OrderFilter:
    given = parse_qs(query)
    return OrderFilter.model_validate({name: v if name == "state" else v[0] for name, v in given.items()})


async def _bare_queries(stored: Stored, asked: Sequence[tuple[str, tuple[Any, ...]]]) -> list[float]:
    """Seconds of each query through asyncpg as the app's role, one after another at the same pace."""
    connection = await db.open_connection(stored.url)
    for name, value in db.SESSION.items():
        await connection.execute("SELECT set_config($1, $2, false)", name, value)
    seconds: list[float] = []
    begun = time.perf_counter()
    for n, (statement, values) in enumerate(asked):
        await asyncio.sleep(max(0.0, begun + n / RATE - time.perf_counter()))
        started = time.perf_counter()
        async with _transaction(connection, stored.company):
            await connection.fetch(statement, *values)
        seconds.append(time.perf_counter() - started)
    await connection.close()
    return seconds
