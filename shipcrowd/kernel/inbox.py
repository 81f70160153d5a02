"""Everything outside systems push to us, stored before it is understood, once per delivery.

`receive` is one statement: the delivery (its body sealed, for it holds a buyer's address) and the job that will read
it; deliveries that come together share it. The same delivery again changes nothing. What a job could not read stays
with its error, and can be replayed.
"""

import asyncio
import json
from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID
from weakref import WeakKeyDictionary

from prometheus_client import Counter
from pydantic_core import to_json
from sqlalchemy import Index, LargeBinary, UniqueConstraint, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from shipcrowd.kernel import clock, crypto, db
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.jobs import Job, wake_soon

RECEIVED = Counter("shipcrowd_inbox_total", "Deliveries from outside systems", ["vendor", "outcome"])


class Outcome(StrEnum):
    waiting = "waiting"
    handled = "handled"
    ignored = "ignored"
    failed = "failed"


class Delivery(db.Owned, db.Base):
    """One delivery. `body` is sealed with the raw bytes and the headers the reader needs."""

    __tablename__ = "inbox"
    __table_args__ = (
        UniqueConstraint("company_id", "vendor", "store", "delivery_id"),
        Index("ix_inbox_recent", "company_id", "received_at"),
        Index("ix_inbox_failed", "company_id", "id", postgresql_where=text("outcome = 'failed'")),
    )

    vendor: Mapped[str]
    store: Mapped[str]
    delivery_id: Mapped[str]
    topic: Mapped[str]
    body: Mapped[bytes] = mapped_column(LargeBinary)
    received_at: Mapped[datetime]
    handled_at: Mapped[datetime | None]
    outcome: Mapped[str] = mapped_column(server_default=Outcome.waiting)
    note: Mapped[str] = mapped_column(server_default="")


def about(company_id: UUID, delivery_id: UUID) -> str:
    return f"inbox:{company_id}:{delivery_id}"


async def receive(
    *,
    company_id: UUID,
    vendor: str,
    store: str,
    delivery_id: str,
    topic: str,
    body: bytes,
    headers: dict[str, str],
    reader: Job[...],
) -> bool:
    """Store a verified delivery and enqueue `reader(company_id, delivery_id)`; False when it was delivered before."""
    row_id = new_id()
    sealed = crypto.keyring().seal(_pack(headers, body), about(company_id, row_id))
    payload = reader.payload(company_id=company_id, delivery_id=row_id).model_dump_json().encode()
    fresh = await _stored((company_id, row_id, vendor, store, delivery_id, topic, sealed, reader.name, payload))
    RECEIVED.labels(vendor, "stored" if fresh else "duplicate").inc()
    if fresh:
        wake_soon()
    return fresh


Row = tuple[UUID, UUID, str, str, str, str, bytes, str, bytes]
"""Company, id, vendor, store, delivery id, topic, sealed body, the reader's name and its payload."""

STATEMENTS_AT_ONCE = 2
ROWS_A_STATEMENT = 32


class _Intake:
    """Deliveries of one event loop that wait to be stored. Nobody waits for company: what comes while statements are
    under way goes together into the next, so that a burst costs few round trips and commits."""

    of: ClassVar[WeakKeyDictionary[asyncio.AbstractEventLoop, "_Intake"]] = WeakKeyDictionary()

    def __init__(self) -> None:
        self.waiting: deque[tuple[Row, asyncio.Future[bool]]] = deque()
        self.sending = 0
        self.tasks: set[asyncio.Task[None]] = set()


async def _stored(row: Row) -> bool:
    loop = asyncio.get_running_loop()
    intake = _Intake.of.setdefault(loop, _Intake())
    answer: asyncio.Future[bool] = loop.create_future()
    intake.waiting.append((row, answer))
    if intake.sending < STATEMENTS_AT_ONCE:
        intake.sending += 1
        sender = loop.create_task(_send(intake))
        intake.tasks.add(sender)  # the loop itself holds tasks weakly
        sender.add_done_callback(intake.tasks.discard)
    return await answer


async def _send(intake: _Intake) -> None:
    try:
        while intake.waiting:
            some = [intake.waiting.popleft() for _ in range(min(ROWS_A_STATEMENT, len(intake.waiting)))]
            try:
                await _insert(some)
            except Exception:  # noqa: BLE001 - whatever it is, everybody who waits gets an answer
                # One of them may be at fault, as when its company was deleted a moment ago: each for itself.
                for one in some:
                    await _insert_alone(one)
    finally:
        intake.sending -= 1  # at once: a delivery that comes now starts a sender of its own


async def _insert_alone(one: tuple[Row, asyncio.Future[bool]]) -> None:
    try:
        await _insert([one])
    except Exception as error:  # noqa: BLE001 - it is raised where it was asked
        if not one[1].done():
            one[1].set_exception(error)


async def _insert(some: Sequence[tuple[Row, asyncio.Future[bool]]]) -> None:
    # Sorted, so that two statements with the same deliveries wait for each other in one order.
    some = sorted(some, key=lambda each: (each[0][0], *each[0][2:5]))
    companies, ids, vendors, stores, deliveries, topics, bodies, readers, payloads = zip(
        *(row for row, _ in some), strict=True
    )
    async with db.raw() as wire:
        fresh = await wire.fetchval(
            "SELECT inbox_receive($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            companies, ids, vendors, stores, deliveries, topics, bodies, clock.now(), readers, payloads,
        )  # fmt: skip
    for (_, answer), each in zip(some, fresh, strict=True):
        if not answer.done():  # whoever asked may have gone
            answer.set_result(bool(each))


def _pack(headers: dict[str, str], body: bytes) -> bytes:
    head = to_json(headers)
    return len(head).to_bytes(4, "big") + head + body


def opened(delivery: Delivery) -> tuple[dict[str, str], bytes]:
    """The headers and the raw body of a delivery."""
    plain = crypto.keyring().open(delivery.body, about(delivery.company_id, delivery.id))
    size = int.from_bytes(plain[:4], "big")
    return json.loads(plain[4 : 4 + size]), plain[4 + size :]


async def waiting(session: AsyncSession, delivery_id: UUID) -> Delivery | None:
    """The delivery, locked, unless it was dealt with already (a job may run twice)."""
    return (
        await session.execute(
            select(Delivery)
            .where(Delivery.id == delivery_id, Delivery.outcome.in_([Outcome.waiting, Outcome.failed]))
            .with_for_update()
        )
    ).scalar_one_or_none()


def settle(delivery: Delivery, outcome: Outcome, note: str = "") -> None:
    """Mark what became of it; in the transaction that did the work."""
    delivery.outcome, delivery.note, delivery.handled_at = outcome, note[:1000], clock.now()


async def fail(session: AsyncSession, delivery_id: UUID, note: str) -> None:
    """Mark a delivery as failed after its own transaction was rolled back."""
    await session.execute(
        update(Delivery)
        .where(Delivery.id == delivery_id, Delivery.outcome != Outcome.handled)
        .values(outcome=Outcome.failed, note=note[:1000], handled_at=clock.now())
    )


async def recent(
    session: AsyncSession, *, outcome: Outcome | None = None, store: str | None = None, limit: int = 50
) -> Sequence[Delivery]:
    """The newest deliveries of the acting company."""
    query = select(Delivery).order_by(Delivery.received_at.desc()).limit(limit)
    if outcome:
        query = query.where(Delivery.outcome == outcome)
    if store:
        query = query.where(Delivery.store == store)
    return (await session.execute(query)).scalars().all()


async def forget(session: AsyncSession, *, older_than: timedelta) -> int:
    """Delete dealt-with deliveries older than that; failed ones stay until someone looked."""
    rows: Any = await session.execute(
        text("DELETE FROM inbox WHERE received_at < :before AND outcome IN ('handled', 'ignored')"),
        {"before": clock.now() - older_than},
    )
    return int(rows.rowcount)
