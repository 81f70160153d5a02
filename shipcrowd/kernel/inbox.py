"""Everything outside systems push to us, stored before it is understood, once per delivery.

`receive` is one statement: the delivery (its body sealed, for it holds a buyer's address) and the job that will read
it; deliveries that come together share it. The same delivery again changes nothing. What a job could not read stays
with its error, and can be replayed.
"""

import asyncio
import json
import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID
from weakref import WeakKeyDictionary

from prometheus_client import Counter
from pydantic_core import to_json
from sqlalchemy import (
    ColumnElement,
    Index,
    LargeBinary,
    UniqueConstraint,
    and_,
    case,
    delete,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from shipcrowd.kernel import clock, crypto, db, tenancy
from shipcrowd.kernel.errors import Conflict
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.jobs import Job, wake_soon

RECEIVED = Counter("shipcrowd_inbox_total", "Deliveries from outside systems", ["vendor", "outcome"])


class Outcome(StrEnum):
    waiting = "waiting"
    handled = "handled"
    ignored = "ignored"
    failed = "failed"


class Delivery(db.Owned, db.Base):
    """One delivery. `body` is sealed with the raw bytes and the headers the reader needs; None once it was emptied.

    The row outlives its body: it is what makes a repeat of the same delivery count for nothing."""

    __tablename__ = "inbox"
    __table_args__ = (
        UniqueConstraint("company_id", "vendor", "store", "delivery_id"),
        Index("ix_inbox_recent", "company_id", "received_at"),
        Index("ix_inbox_waiting", "company_id", "vendor", "store", "id", postgresql_where=text("outcome = 'waiting'")),
        Index("ix_inbox_failed", "company_id", "id", postgresql_where=text("outcome = 'failed'")),
    )

    vendor: Mapped[str]
    store: Mapped[str]
    delivery_id: Mapped[str]
    topic: Mapped[str]
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    received_at: Mapped[datetime]
    handled_at: Mapped[datetime | None]
    outcome: Mapped[str] = mapped_column(server_default=Outcome.waiting)
    note: Mapped[str] = mapped_column(server_default="")


class Emptied(Conflict):
    """What this delivery said was removed, because it held a buyer's data; there is nothing left to read."""


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
    together: bool = False,
) -> bool:
    """Store a verified delivery and enqueue `reader(company_id, delivery_id)`; False when it was delivered before.
    `together`: the reader deals with all that waits of the account (`waiting_together`), and is enqueued once for those
    that come at one time."""
    row_id = new_id()
    sealed = crypto.keyring().seal(_pack(headers, body), about(company_id, row_id))
    payload = reader.payload(company_id=company_id, delivery_id=row_id).model_dump_json().encode()
    group = f"{reader.name}:{vendor}:{store}" if together else str(row_id)
    fresh = await _stored((company_id, row_id, vendor, store, delivery_id, topic, sealed, reader.name, payload, group))
    RECEIVED.labels(vendor, "stored" if fresh else "duplicate").inc()
    if fresh:
        wake_soon()
    return fresh


Row = tuple[UUID, UUID, str, str, str, str, bytes, str, bytes, str]
"""Company, id, vendor, store, delivery id, topic, sealed body, the reader's name and payload, and which share one."""

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
    companies, ids, vendors, stores, deliveries, topics, bodies, readers, payloads, groups = zip(
        *(row for row, _ in some), strict=True
    )
    async with db.raw() as wire:
        fresh = await wire.fetchval(
            "SELECT inbox_receive($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            companies, ids, vendors, stores, deliveries, topics, bodies, clock.now(), readers, payloads, groups,
        )  # fmt: skip
    for (_, answer), each in zip(some, fresh, strict=True):
        if not answer.done():  # whoever asked may have gone
            answer.set_result(bool(each))


def _pack(headers: dict[str, str], body: bytes) -> bytes:
    head = to_json(headers)
    return len(head).to_bytes(4, "big") + head + body


def opened(delivery: Delivery) -> tuple[dict[str, str], bytes]:
    """The headers and the raw body of a delivery. Raises Emptied."""
    if delivery.body is None:
        raise Emptied
    return _unpack(delivery.company_id, delivery.id, delivery.body)


def _unpack(company_id: UUID, delivery_id: UUID, sealed: bytes) -> tuple[dict[str, str], bytes]:
    plain = crypto.keyring().open(sealed, about(company_id, delivery_id))
    size = int.from_bytes(plain[:4], "big")
    return json.loads(plain[4 : 4 + size]), plain[4 + size :]


async def waiting(session: AsyncSession, delivery_id: UUID) -> Delivery | None:
    """The delivery, locked, unless it was dealt with already (a job may run twice) or emptied."""
    return (
        await session.execute(
            select(Delivery)
            .where(
                Delivery.id == delivery_id,
                Delivery.outcome.in_([Outcome.waiting, Outcome.failed]),
                Delivery.body.is_not(None),
            )
            .with_for_update()
        )
    ).scalar_one_or_none()


async def waiting_together(session: AsyncSession, delivery_id: UUID, *, most: int) -> Sequence[Delivery]:
    """What waits of the account of this delivery and nobody is at, locked, the delivery itself first (also where it
    failed before), then the oldest."""
    query = select(Delivery).where(*await _of_one_account(session, delivery_id))
    query = query.order_by((Delivery.id != delivery_id), Delivery.id).limit(most)
    return (await session.execute(query.with_for_update(skip_locked=True))).scalars().all()


async def ids_waiting(session: AsyncSession, delivery_id: UUID, *, most: int) -> Sequence[UUID]:
    """The ids of the same, whoever is at them."""
    query = select(Delivery.id).where(*await _of_one_account(session, delivery_id))
    return (
        (await session.execute(query.order_by((Delivery.id != delivery_id), Delivery.id).limit(most))).scalars().all()
    )


async def _of_one_account(session: AsyncSession, delivery_id: UUID) -> list[ColumnElement[bool]]:
    one = (await session.execute(select(Delivery.vendor, Delivery.store).where(Delivery.id == delivery_id))).first()
    vendor, store = one or (None, None)
    return [
        Delivery.company_id == tenancy.company_of(session),
        Delivery.vendor == vendor,
        Delivery.store == store,
        or_(
            Delivery.outcome == Outcome.waiting,
            and_(Delivery.id == delivery_id, Delivery.outcome == Outcome.failed),
        ),
        Delivery.body.is_not(None),
    ]


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


# --- forgetting -----------------------------------------------------------------------------------------------------

GONE = "what it said was removed by age; it was never read"
EMPTIED = "what it said was removed: it named a buyer who is forgotten"


@dataclass(frozen=True)
class Naming:
    """Whom a body is searched for. Pure. Finding too much empties a body too many, which costs a replay; finding too
    little leaves somebody's data behind: so spelling, case and the marks between digits do not count."""

    words: tuple[str, ...] = ()
    """Ids and e-mail addresses: found as whole words."""
    numbers: tuple[str, ...] = ()
    """Phone numbers: the last ten digits, however they are written."""

    def found_in(self, body: bytes) -> bool:
        text = body.decode("utf-8", "replace").lower().replace("\\u0040", "@")
        if any(re.search(rf"(?<!\w){re.escape(word.lower())}(?!\w)", text) for word in self.words if word):
            return True
        digits = [tail for number in self.numbers if len(tail := _digits(number)[-10:]) == 10]
        return bool(digits) and any(tail in _digits(text) for tail in digits)


def _digits(text: str) -> str:
    return "".join(filter(str.isdecimal, text))


async def forget(
    session: AsyncSession,
    *,
    dealt_with: datetime,
    failed: datetime,
    noted: datetime,
    sooner: Mapping[str, datetime] | None = None,
    limit: int = 500,
) -> bool:
    """One bounded step for the acting company; whether there may be more to do. `sooner`: the vendors whose unread
    bodies must go earlier than `failed`, and when.

    Deliveries dealt with that came before `dealt_with` are deleted. Of those that could not be read, or never were, the
    body goes when they came before `failed`: the row with its note stays, so that it can still be seen what never
    got in, and goes when it came before `noted`.
    """
    mine = Delivery.company_id == tenancy.company_of(session)
    settled = Delivery.outcome.in_([Outcome.handled, Outcome.ignored])
    some = select(Delivery.id).where(mine).order_by(Delivery.received_at).limit(limit)
    deleted: Any = await session.execute(
        delete(Delivery).where(mine, Delivery.id.in_(some.where(Delivery.received_at < dealt_with, settled)))
    )
    old = [and_(Delivery.vendor == vendor, Delivery.received_at < cut) for vendor, cut in (sooner or {}).items()]
    unread = some.where(or_(Delivery.received_at < failed, *old), ~settled, Delivery.body.is_not(None))
    emptied: Any = await session.execute(
        update(Delivery)
        .where(mine, Delivery.id.in_(unread))
        .values(
            body=None,
            outcome=Outcome.failed,
            handled_at=clock.now(),
            note=_noted(GONE),
        )
    )
    ended: Any = await session.execute(
        delete(Delivery).where(mine, Delivery.id.in_(some.where(Delivery.received_at < noted)))
    )
    return limit in (deleted.rowcount, emptied.rowcount, ended.rowcount)


async def empty(
    session: AsyncSession,
    *,
    vendor: str,
    store: str,
    naming: Naming | None,
    keep: UUID,
    after: str | None,
    limit: int = 200,
) -> str | None:
    """Empty those of a store's deliveries that name somebody (None: all; never `keep`), `limit` at a time in the order
    of their delivery ids; where to go on, None at the end. Of the acting company."""
    query = (
        select(Delivery.id, Delivery.delivery_id)
        .where(
            Delivery.company_id == tenancy.company_of(session),
            Delivery.vendor == vendor,
            Delivery.store == store,
            Delivery.delivery_id > (after or ""),
        )
        .order_by(Delivery.delivery_id)
        .limit(limit)
    )
    page = (await session.execute(query)).all()
    await _empty_some(session, [row.id for row in page if row.id != keep], naming)
    return page[-1].delivery_id if len(page) == limit else None


async def empty_failed(
    session: AsyncSession, *, vendor: str, naming: Naming, after: UUID | None, limit: int = 200
) -> UUID | None:
    """The same for what could not be read of a vendor's, whatever the account, in the order of our own ids."""
    query = (
        select(Delivery.id, Delivery.vendor)
        .where(Delivery.company_id == tenancy.company_of(session), Delivery.outcome == Outcome.failed)
        .order_by(Delivery.id)
        .limit(limit)
    )
    page = (await session.execute(query.where(Delivery.id > after) if after else query)).all()
    await _empty_some(session, [row.id for row in page if row.vendor == vendor], naming)
    return page[-1].id if len(page) == limit else None


async def _empty_some(session: AsyncSession, ids: Sequence[UUID], naming: Naming | None) -> None:
    company_id = tenancy.company_of(session)
    some = Delivery.company_id == company_id, Delivery.id.in_(list(ids)), Delivery.body.is_not(None)
    if naming is not None and ids:
        bodies = (await session.execute(select(Delivery.id, Delivery.body).where(*some))).all()
        ids = [row.id for row in bodies if row.body and naming.found_in(_unpack(company_id, row.id, row.body)[1])]
    if ids:
        unread = Delivery.outcome.in_([Outcome.waiting, Outcome.failed])
        await session.execute(
            update(Delivery)
            .where(Delivery.company_id == company_id, Delivery.id.in_(list(ids)), Delivery.body.is_not(None))
            .values(
                body=None,
                # What still waits is read by nobody now; the store's next sweep brings what it said.
                outcome=case((Delivery.outcome == Outcome.waiting, Outcome.ignored.value), else_=Delivery.outcome),
                note=case((unread, _noted(EMPTIED)), else_=Delivery.note),
            )
        )


def _noted(words: str) -> ColumnElement[str]:
    return func.left(func.concat_ws("; ", func.nullif(Delivery.note, ""), words), 1000)
