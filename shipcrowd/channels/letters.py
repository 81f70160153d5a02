"""Letters of vendors' queues that nobody could handle: kept, shown to the platform's operator, tried again, dropped.

They stand, sealed, among the deliveries of the platform's own company, so whose they are does not have to be known.
A letter is stored before it leaves the queue: whatever dies in between, it is in one of the two, or in both and counted
once. What was stored is tried once more by a job; what fails again waits here for a person. Bodies go by age as those
of every delivery do; the row with its reason stays a year.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import asyncpg
from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.channels import taking, vendors, webhooks
from shipcrowd.channels.contract import ChannelVendor
from shipcrowd.kernel import audit, inbox, pages
from shipcrowd.kernel.errors import Conflict, NotFound, ShipcrowdError
from shipcrowd.kernel.inbox import Delivery, Emptied, Outcome
from shipcrowd.kernel.jobs import job, on
from shipcrowd.kernel.mailbox import Unusable
from shipcrowd.kernel.outbound import Malformed
from shipcrowd.kernel.tenancy import PLATFORM_COMPANY, acting_for

STORE = "queue"
"""In place of a store's name: whose letter it is could not be told."""

AT_ONCE = 500
"""Letters that are tried again by one request."""

SHOWN = 40
"""Fields of a letter's outline."""

_OURS = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, DBAPIError)
"""Trouble that says nothing about the letter."""


class NoSuchLetter(NotFound):
    """There is no such letter."""


class LetterSettled(Conflict):
    """This letter waits for nobody any more: it was handled, dropped, or is being tried just now."""


@dataclass(frozen=True)
class Letter:
    """One that could not be handled. `outline` names its fields and the kinds of their values, without the values:
    what is needed to see why, and nobody's data."""

    id: UUID
    vendor: str
    topic: str
    received_at: datetime
    reason: str
    outcome: Outcome
    can_be_tried: bool
    size: int | None
    outline: tuple[str, ...]


async def keep(vendor: ChannelVendor, body: bytes, because: str) -> None:
    """Store a letter; once, however often it comes."""
    await inbox.receive(
        company_id=PLATFORM_COMPANY,
        vendor=vendor.slug,
        store=STORE,
        delivery_id="sha256:" + hashlib.sha256(body).hexdigest(),
        topic=_topic(vendor, body),
        body=body,
        headers={"because": because[:500]},
        reader=read_letter,
    )


@job(retry=on(Exception, times=8, first=2.0))
async def read_letter(company_id: UUID, delivery_id: UUID) -> None:
    """Try a letter again; what cannot be handled waits for the operator."""
    async with acting_for(company_id) as session:
        delivery = await session.get(Delivery, (company_id, delivery_id))
        if delivery is None or delivery.body is None or delivery.outcome != Outcome.waiting:
            return
        headers, body = inbox.opened(delivery)
    before = headers.get("because", "")
    try:
        await taking.take(vendors.vendor(delivery.vendor), body)
    except _OURS:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it does to its reader, the letter stays and is shown
        words = str(error) if isinstance(error, Unusable) else f"{type(error).__name__}; before: {before}"
        await _settled(company_id, delivery_id, Outcome.failed, words)
        return
    await _settled(company_id, delivery_id, Outcome.handled, "")


@read_letter.exhausted
async def _not_read(company_id: UUID, delivery_id: UUID) -> None:
    await _settled(company_id, delivery_id, Outcome.failed, "it could not be tried; see the failed jobs")


async def _settled(company_id: UUID, delivery_id: UUID, outcome: Outcome, note: str) -> None:
    async with acting_for(company_id) as session:
        delivery = await inbox.waiting(session, delivery_id)
        if delivery is not None:
            inbox.settle(delivery, outcome, note)


async def page(*, after: str | None, limit: int, failed: bool = True) -> tuple[Sequence[Letter], str | None]:
    """Those that wait for a person (or, not `failed`, those that were settled), newest first."""
    wanted = Delivery.outcome == Outcome.failed if failed else Delivery.outcome.in_([Outcome.handled, Outcome.ignored])
    query = select(Delivery).where(_letters(), wanted)
    query = query.order_by(Delivery.received_at.desc(), Delivery.id.desc()).limit(limit + 1)
    if after:
        query = query.where(pages.older_than(Delivery.received_at, Delivery.id, after))
    async with acting_for(PLATFORM_COMPANY) as session:
        rows = (await session.execute(query)).scalars().all()
    shown, following = pages.page(rows, limit, lambda row: (row.received_at, row.id))
    return [_shown(row) for row in shown], following


async def count() -> int:
    """How many wait for a person."""
    async with acting_for(PLATFORM_COMPANY) as session:
        query = select(func.count()).select_from(Delivery).where(_letters(), Delivery.outcome == Outcome.failed)
        return (await session.execute(query)).scalar_one()


async def get(delivery_id: UUID) -> Letter:
    """Raises NoSuchLetter."""
    async with acting_for(PLATFORM_COMPANY) as session:
        return _shown(await _found(session, delivery_id))


async def replay(delivery_id: UUID, *, actor: str) -> None:
    """Let one be tried again. Raises NoSuchLetter, LetterSettled, Emptied."""
    async with acting_for(PLATFORM_COMPANY) as session:
        delivery = await _failed(session, delivery_id)
        if delivery.body is None:
            raise Emptied
        await _again(session, delivery, actor)


async def replay_all(*, actor: str) -> int:
    """Let those that wait be tried again, oldest first, at most AT_ONCE; how many."""
    async with acting_for(PLATFORM_COMPANY) as session:
        query = (
            select(Delivery)
            .where(_letters(), Delivery.outcome == Outcome.failed, Delivery.body.is_not(None))
            .order_by(Delivery.received_at, Delivery.id)
            .limit(AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        found = (await session.execute(query)).scalars().all()
        for delivery in found:
            await _again(session, delivery, actor)
    return len(found)


async def drop(delivery_id: UUID, *, reason: str, actor: str) -> None:
    """Be done with one: what it said is removed, that it came and why it was dropped stays. Raises NoSuchLetter,
    LetterSettled."""
    async with acting_for(PLATFORM_COMPANY) as session:
        delivery = await _failed(session, delivery_id)
        inbox.settle(delivery, Outcome.ignored, f"dropped: {reason}; it was: {delivery.note}")
        delivery.body = None
        await _audited(session, delivery, "letter.drop", actor, reason=reason)


async def _again(session: AsyncSession, delivery: Delivery, actor: str) -> None:
    delivery.outcome, delivery.note, delivery.handled_at = Outcome.waiting, "", None
    await read_letter.with_(key=str(delivery.id)).enqueue(
        session, company_id=delivery.company_id, delivery_id=delivery.id
    )
    await _audited(session, delivery, "letter.replay", actor)


async def _audited(session: AsyncSession, delivery: Delivery, action: str, actor: str, **details: str) -> None:
    told = {"vendor": delivery.vendor, "topic": delivery.topic, **details}
    await audit.record(session, actor=actor, action=action, subject=f"letter:{delivery.id}", details=told)


async def _failed(session: AsyncSession, delivery_id: UUID) -> Delivery:
    delivery = await _found(session, delivery_id, lock=True)
    if delivery.outcome != Outcome.failed:
        raise LetterSettled
    return delivery


async def _found(session: AsyncSession, delivery_id: UUID, *, lock: bool = False) -> Delivery:
    query = select(Delivery).where(_letters(), Delivery.id == delivery_id)
    found = (await session.execute(query.with_for_update() if lock else query)).scalar_one_or_none()
    if found is None:
        raise NoSuchLetter
    return found


def _letters() -> ColumnElement[bool]:
    return and_(Delivery.company_id == PLATFORM_COMPANY, Delivery.store == STORE)


def _topic(vendor: ChannelVendor, body: bytes) -> str:
    try:
        topic = webhooks.topic_of(vendor.webhooks.topic({}, body)) or "unknown"
        return topic if topic.isprintable() else "unreadable"
    except (ShipcrowdError, Malformed, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return "unreadable"


def _shown(row: Delivery) -> Letter:
    body = inbox.opened(row)[1] if row.body is not None else None
    return Letter(
        id=row.id,
        vendor=row.vendor,
        topic=row.topic,
        received_at=row.received_at,
        reason=row.note,
        outcome=Outcome(row.outcome),
        can_be_tried=body is not None and row.outcome == Outcome.failed,
        size=None if body is None else len(body),
        outline=() if body is None else outline(body),
    )


def outline(body: bytes) -> tuple[str, ...]:
    """The fields of a letter, and of what kind and length their values are. Pure."""
    try:
        raw: object = json.loads(body)
    except (ValueError, RecursionError):
        return ("not JSON",)
    return tuple(_fields("", raw, 6))[:SHOWN]


def _fields(where: str, value: object, deep: int) -> Sequence[str]:
    if isinstance(value, dict) and deep:
        fields = cast(dict[str, Any], value)
        # A name is a field's as long as it looks like one: a letter may be made of anything.
        return [
            line
            for name, inner in list(fields.items())[:SHOWN]
            for line in _fields(f"{where}.{name}" if where else name, inner, deep - 1)
            if name.isidentifier() and len(name) <= 60
        ]
    match value:
        case str():
            kind = f"text of {len(value)}"
        case list():
            kind = f"list of {len(cast(list[Any], value))}"
        case dict():
            kind = "object"
        case bool():
            kind = "true or false"
        case None:
            kind = "null"
        case _:
            kind = "number"
    return [f"{where or 'all of it'}: {kind}"]
