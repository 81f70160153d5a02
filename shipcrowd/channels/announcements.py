"""What stores are told of parcels: which of it is due, and what came of it. The calls themselves are in `jobs`.

One parcel, one row. Whoever talks to the store about it holds a short lease on the row, so that two jobs never tell
it the same thing at once; and what was told is recorded, so that a job that runs twice tells it once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.channels import sweeps, vendors
from shipcrowd.channels.contract import Dispatch, DispatchLine, Milestone
from shipcrowd.channels.events import AnnouncementRefused
from shipcrowd.channels.models import ANNOUNCEMENT_MOVES, Announcement, AnnouncementState
from shipcrowd.connections import service as connections
from shipcrowd.connections.models import Connection, Status
from shipcrowd.couriers.contract import Progress
from shipcrowd.kernel import clock, pages
from shipcrowd.kernel.errors import Conflict, NotFound
from shipcrowd.kernel.events import publish
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.jobs import Later
from shipcrowd.orders import service as orders
from shipcrowd.orders.models import Order
from shipcrowd.shipping import service as shipping
from shipcrowd.shipping.models import Shipment
from shipcrowd.shipping.queries import PROGRESS_OF
from shipcrowd.shipping.service import DispatchFacts

LEASE = timedelta(minutes=2)

ALERT_AFTER = 5
"""So many failures in a row and the seller is told: somebody has to look, or to say it at the store by hand."""

GAVE_UP = "the store did not answer for a week, and is not told again; enter it there by hand"
UNKNOWN = "It may have heard: its answer was lost, and it keeps no trace of this. Look there."

MILESTONES: Mapping[Progress, Milestone] = {
    Progress.picked_up: Milestone.picked_up,
    Progress.in_transit: Milestone.in_transit,
    Progress.out_for_delivery: Milestone.out_for_delivery,
    Progress.delivery_failed: Milestone.attempted,
    Progress.delivered: Milestone.delivered,
    Progress.rto_initiated: Milestone.failed,
    Progress.rto_in_transit: Milestone.failed,
    Progress.rto_out_for_delivery: Milestone.failed,
    Progress.rto_delivered: Milestone.failed,
    Progress.lost: Milestone.failed,
    Progress.damaged: Milestone.failed,
}
"""What a courier's progress is to a store. Waiting for pickup is none, nor is a cancellation (that is withdrawn)."""

WORDS: Mapping[Milestone, str] = {
    Milestone.label_printed: "The label was printed",
    Milestone.picked_up: "The courier has the parcel",
    Milestone.in_transit: "The parcel is on its way",
    Milestone.out_for_delivery: "The parcel is out for delivery",
    Milestone.attempted: "The courier could not deliver the parcel",
    Milestone.delivered: "The parcel was delivered",
    Milestone.failed: "The parcel could not be delivered",
}

LAST_WORDS = frozenset({Milestone.delivered.value, Milestone.failed.value})
"""After these a store hears no more of the parcel."""

MOVED = [state.value for state, progress in PROGRESS_OF.items() if progress in MILESTONES]
"""States of a shipment a store may have to be told of."""

OVER = frozenset({"cancelled", "refused", "cancelling"})
"""States of a shipment that is not going anywhere."""


class NoSuchAnnouncement(NotFound):
    """There is no such announcement."""


class IllegalAnnouncementMove(Conflict):
    """The announcement's present state does not allow this."""


@dataclass(frozen=True)
class News:
    """The store to be told of a new parcel, and what."""

    connection: Connection
    announcement_id: UUID
    order_ref: str
    dispatch: Dispatch


@dataclass(frozen=True)
class Told:
    """The store to be told more about a parcel it knows."""

    connection: Connection
    announcement_id: UUID
    dispatch_ref: str
    milestone: Milestone | None = None
    at: datetime | None = None
    once: bool = False
    """The store keeps no trace of it: it is told at most once; `unsure`: it may have been already."""
    unsure: bool = False
    expected: datetime | None = None


async def due(session: AsyncSession, shipment_id: UUID) -> News | None:
    """What the store must be told of a booked parcel; None when nothing (any more). Raises Later while another job
    tells it."""
    facts = await shipping.dispatch_facts(session, shipment_id)
    if facts is None or facts.connection_id is None or facts.order_external_ref is None:
        return None
    if not facts.awb or facts.state in OVER:
        return None
    connection = await connections.get(session, facts.connection_id)
    if not sweeps.settings_of(connection).announce:
        return None
    row = await _row(session, connection, shipment_id, facts.order_external_ref)
    # A store that is paused or must be connected again is told when it is back.
    if row.state != AnnouncementState.pending or connection.status != Status.connected:
        return None
    await _take(session, row)
    return _news(connection, row, facts)


async def untold(session: AsyncSession, shipment_id: UUID) -> bool:
    """Whether the store of a parcel has not heard of it, and may have to: a parcel whose cancellation came too late,
    or whose store was paused when it was booked."""
    row = await _of_shipment(session, shipment_id)
    if row is not None:
        return row.state == AnnouncementState.pending
    facts = await shipping.dispatch_facts(session, shipment_id)
    return facts is not None and facts.connection_id is not None


async def progress_due(session: AsyncSession, shipment_id: UUID) -> Told | None:
    """The milestone the store has not heard of yet; None when there is none, or the store was not told of the parcel
    at all. Raises Later while another job talks to it about this parcel."""
    row = await _of_shipment(session, shipment_id)
    if row is None or row.state != AnnouncementState.sent or row.dispatch_ref is None:
        return None
    facts = await shipping.dispatch_facts(session, shipment_id)
    if facts is None or facts.progress is None:
        return None
    milestone = MILESTONES.get(facts.progress)
    if milestone is None or row.last_milestone == milestone or row.last_milestone in LAST_WORDS:
        return None
    if row.last_milestone_at is not None and facts.moved_at < row.last_milestone_at:
        return None
    connection = await connections.get(session, row.connection_id)
    if connection.status != Status.connected or not sweeps.settings_of(connection).announce:
        return None
    await _take(session, row)
    once = milestone in vendors.vendor(connection.vendor).keeps_no_trace_of
    unsure = once and row.unsure_of == milestone.value
    return Told(connection, row.id, row.dispatch_ref, milestone, facts.moved_at, once=once, unsure=unsure)


async def about_to_tell(session: AsyncSession, announcement_id: UUID, milestone: Milestone | None) -> None:
    """The store is told this now, which leaves no trace there; None: it was not, after all."""
    row = await _locked(session, announcement_id)
    row.unsure_of = milestone.value if milestone else None


async def date_due(session: AsyncSession, shipment_id: UUID) -> Told | None:
    """The store to be told of the delivery date that was wished for; None where there is none, or the store cannot be
    told yet: the wish stands until it can. Raises Later while another job talks to it about this parcel."""
    row = await _of_shipment(session, shipment_id)
    if row is None or row.expected_at is None or row.state != AnnouncementState.sent or row.dispatch_ref is None:
        return None
    connection = await connections.get(session, row.connection_id)
    if connection.status != Status.connected:
        return None
    await _take(session, row)
    return Told(connection, row.id, row.dispatch_ref, expected=row.expected_at)


async def correction_due(session: AsyncSession, shipment_id: UUID) -> News | None:
    """What the store is to be told in place of what it knows of a parcel; None when it knows nothing, or is not to be
    told. Raises Later while another job talks to it about this parcel: that may be of the wrong AWB."""
    row = await _of_shipment(session, shipment_id)
    if row is None:
        return None
    await _take(session, row)
    facts = await shipping.dispatch_facts(session, shipment_id)
    connection = await connections.get(session, row.connection_id)
    if row.state == AnnouncementState.sent and facts is not None and facts.awb and facts.state not in OVER:
        if connection.status == Status.connected:
            return _news(connection, row, facts)
        row.last_error = f"The store is {connection.status}; it was not told of the corrected AWB."
    row.busy_until = None
    return None


async def withdrawal_due(session: AsyncSession, shipment_id: UUID) -> Told | None:
    """The dispatch to be taken back. None when the store never heard of it: then it never will, for it is marked as
    withdrawn. Raises Later while another job talks to the store about this parcel."""
    row = await _of_shipment(session, shipment_id)
    if row is None:
        facts = await shipping.dispatch_facts(session, shipment_id)
        if facts is None or facts.connection_id is None or facts.order_external_ref is None:
            return None
        connection = await connections.get(session, facts.connection_id)
        row = await _row(session, connection, shipment_id, facts.order_external_ref)
    if row.state == AnnouncementState.withdrawn:
        return None
    await _take(session, row)
    if row.state == AnnouncementState.sent and row.dispatch_ref is not None:
        connection = await connections.get(session, row.connection_id)
        if connection.status == Status.connected:
            return Told(connection, row.id, row.dispatch_ref)
        row.last_error = f"The store is {connection.status}; the dispatch could not be taken back there."
    _move(row, AnnouncementState.withdrawn)
    row.busy_until = None
    return None


# --- what came of it ------------------------------------------------------------------------------------------------


async def sent(session: AsyncSession, announcement_id: UUID, dispatch_ref: str | None) -> bool:
    """The store knows of the parcel; whether it is to be told of another delivery date as well."""
    row = await _locked(session, announcement_id)
    _move(row, AnnouncementState.sent)
    row.dispatch_ref, row.sent_at, row.wrong_awb = dispatch_ref, clock.now(), False
    row.busy_until = None
    await _count(session, row, "")
    return row.expected_at is not None


async def refused(session: AsyncSession, announcement_id: UUID, because: str) -> None:
    """The store would not take it: shown to the seller, who may try again."""
    row = await _locked(session, announcement_id)
    _move(row, AnnouncementState.refused)
    row.last_error, row.busy_until = because[:500], None
    await publish(session, AnnouncementRefused(row.company_id, row.id))


async def told(session: AsyncSession, announcement_id: UUID, milestone: Milestone, at: datetime, error: str) -> None:
    """The store heard of a milestone, or refused to, or nobody knows (`error`): it is not asked again about this one,
    unless a person wants it (`try_again`), who learns of it from the order's timeline."""
    row = await _locked(session, announcement_id)
    row.last_milestone, row.last_milestone_at, row.busy_until = milestone.value, at, None
    row.unsure_of = None
    if milestone.value in LAST_WORDS:
        row.expected_at = None  # it is there, or will never be: no date is of use any more
    await _count(session, row, error)
    if error:
        words = f"the store did not take the news '{WORDS[milestone].lower()}': {error[:200]}"
        if error == UNKNOWN:
            words = f"nobody knows whether the store took the news '{WORDS[milestone].lower()}'. {error}"
        await _on_timeline(session, row, "step_unknown" if error == UNKNOWN else "step_refused", words)
        if milestone.value in LAST_WORDS:  # nothing follows that would catch up with it
            await publish(session, AnnouncementRefused(row.company_id, row.id))


async def withdrawn(session: AsyncSession, announcement_id: UUID, error: str = "") -> None:
    """The dispatch was taken back; with `error`, the store would not and the seller has to."""
    row = await _locked(session, announcement_id)
    if not error:
        _move(row, AnnouncementState.withdrawn)
        row.wrong_awb, row.again_at, row.agains = False, None, 0
    row.last_error, row.busy_until = error[:500], None
    if error:
        await _on_timeline(session, row, "not_withdrawn", f"the store did not take its dispatch back: {error[:200]}")
        await publish(session, AnnouncementRefused(row.company_id, row.id))


async def corrected(session: AsyncSession, announcement_id: UUID, dispatch_ref: str | None) -> None:
    """The store knows the right AWB."""
    row = await _locked(session, announcement_id)
    row.dispatch_ref, row.wrong_awb = dispatch_ref, False
    row.last_error, row.failures, row.busy_until = "", 0, None


async def not_corrected(session: AsyncSession, announcement_id: UUID, because: str) -> None:
    """The store keeps the wrong AWB: the seller has to put it right there, or has it told again (`try_again`)."""
    row = await _locked(session, announcement_id)
    row.last_error, row.busy_until = because[:500], None
    words = f"the store did not take the corrected AWB; correct it there: {because[:300]}"
    await _on_timeline(session, row, "store_not_told", words)
    await publish(session, AnnouncementRefused(row.company_id, row.id))


async def due_again(session: AsyncSession, shipment_id: UUID) -> bool:
    """What was withdrawn because of a wrong AWB is to be told with the right one; whether there is anything to tell."""
    row = await _of_shipment(session, shipment_id)
    if row is None or row.state != AnnouncementState.withdrawn:
        return False
    _move(row, AnnouncementState.pending)
    row.dispatch_ref, row.sent_at, row.wrong_awb = None, None, False
    return True


async def let_go(session: AsyncSession, announcement_id: UUID, error: str) -> None:
    """The call did not come to an end; the next try may take the row at once."""
    row = await _locked(session, announcement_id)
    row.busy_until = None
    if error:
        await _count(session, row, error)


async def rescheduled(session: AsyncSession, announcement_id: UUID, expected: datetime, refused: str | None) -> bool:
    """The store heard that the parcel comes on another day, or refused to hear; whether yet another day was wished for
    meanwhile."""
    row = await _locked(session, announcement_id)
    row.busy_until = None
    if row.expected_at == expected:
        row.expected_at = None
    await _count(session, row, refused or "")
    words = f"the store was told that it comes on {clock.ist(expected):%d %b}"
    if refused is not None:
        words = f"the store did not take another delivery date: {refused[:300]}"
    await _on_timeline(session, row, "date_refused" if refused is not None else "date_told", words)
    return row.expected_at is not None


async def try_again(session: AsyncSession, announcement_id: UUID) -> Announcement:
    """A refused announcement is due again, or the last step of a parcel the store knows, where it could not be told;
    one with a `wrong_awb` stays as it is, for the right one is due. Raises NoSuchAnnouncement,
    IllegalAnnouncementMove."""
    row = await _locked(session, announcement_id)
    row.agains = 0
    if row.wrong_awb:
        return row
    if row.state == AnnouncementState.sent and row.last_error:
        row.last_milestone = row.last_milestone_at = None
    elif row.state != AnnouncementState.pending:
        _move(row, AnnouncementState.pending)
    return row


def _more_to_tell(row: Announcement) -> bool:
    """Whether anything but the step just told waits for the store, by the clock or at all."""
    wishes = row.expected_at or row.ready_asked_at
    return wishes is not None or row.wrong_awb or row.state == AnnouncementState.pending


async def _count(session: AsyncSession, row: Announcement, error: str) -> None:
    """Count a failure, or end the row of them. The seller hears of the fifth, once."""
    row.last_error = error[:500]
    row.failures = row.failures + 1 if error else 0
    if not error and not _more_to_tell(row):
        row.again_at, row.agains = None, 0
    if row.failures == ALERT_AFTER:
        words = f"the store could not be told {ALERT_AFTER} times in a row; look at the store's page: {error[:200]}"
        await alert(session, row, words)


async def alert(session: AsyncSession, row: Announcement, words: str) -> None:
    """Tell the seller that a store cannot be told of a parcel; among what is to be looked at it stays."""
    row.failures = max(row.failures, ALERT_AFTER)
    await _on_timeline(session, row, "store_not_told", words)
    await publish(session, AnnouncementRefused(row.company_id, row.id))


async def _on_timeline(session: AsyncSession, row: Announcement, kind: str, words: str) -> None:
    found = await session.execute(
        select(Shipment, Order)
        .join(Order, (Order.company_id == Shipment.company_id) & (Order.id == Shipment.order_id))
        .where(Shipment.id == row.shipment_id)
    )
    for shipment, order in found:
        details = {"shipment_id": str(row.shipment_id)}
        orders.tell(session, order, kind, f"{shipment.number}: {words}", actor="system", details=details)


# --- reading --------------------------------------------------------------------------------------------------------


async def store_of(session: AsyncSession, shipment_id: UUID) -> UUID | None:
    """The store a parcel is announced to."""
    query = select(Announcement.connection_id).where(Announcement.shipment_id == shipment_id)
    return (await session.execute(query)).scalar_one_or_none()


async def misled(session: AsyncSession, shipment_id: UUID) -> Connection | None:
    """The AWB of a parcel was corrected: the store it is announced to. Where that knows the wrong one it is written
    down, until it knows the right one."""
    row = await _of_shipment(session, shipment_id)
    if row is None:
        return None
    row.wrong_awb = row.wrong_awb or row.state == AnnouncementState.sent
    return await connections.get(session, row.connection_id)


UNTOLD = (
    (Announcement.state == AnnouncementState.refused.value)
    | Announcement.wrong_awb
    | (Announcement.failures >= ALERT_AFTER)
    | (Announcement.last_milestone.in_(LAST_WORDS) & (Announcement.last_error != ""))
)
"""What somebody has to look at."""


async def page(
    session: AsyncSession,
    *,
    connection_ids: Sequence[UUID],
    state: AnnouncementState | None = None,
    untold: bool = False,
    after: str | None = None,
    limit: int = 50,
) -> tuple[Sequence[Announcement], str | None]:
    """Announcements to these stores, newest first; `untold`: those somebody has to look at."""
    query = (
        select(Announcement)
        .where(Announcement.connection_id.in_(connection_ids))
        .order_by(Announcement.created_at.desc(), Announcement.id.desc())
        .limit(limit + 1)
    )
    if state is not None:
        query = query.where(Announcement.state == state.value)
    if untold:
        query = query.where(UNTOLD)
    if after:
        query = query.where(pages.older_than(Announcement.created_at, Announcement.id, after))
    rows = (await session.execute(query)).scalars().all()
    return pages.page(rows, limit, lambda row: (row.created_at, row.id))


# --- inside ---------------------------------------------------------------------------------------------------------


def _news(connection: Connection, row: Announcement, facts: DispatchFacts) -> News:
    return News(
        connection,
        row.id,
        row.order_ref,
        Dispatch(
            reference=str(row.shipment_id),
            awb=facts.awb or "",
            carrier=facts.carrier,
            tracking_url=facts.tracking_url,
            lines=tuple(DispatchLine(line, units) for line, units in facts.lines),
            notify_buyer=sweeps.settings_of(connection).notify_buyer,
            courier=facts.courier,
        ),
    )


async def _row(session: AsyncSession, connection: Connection, shipment_id: UUID, order_ref: str) -> Announcement:
    await session.execute(
        insert(Announcement)
        .values(
            company_id=connection.company_id,
            id=new_id(),
            shipment_id=shipment_id,
            connection_id=connection.id,
            order_ref=order_ref,
            created_at=clock.now(),
        )
        .on_conflict_do_nothing(index_elements=[Announcement.company_id, Announcement.shipment_id])
    )
    row = await _of_shipment(session, shipment_id)
    assert row is not None
    return row


async def _of_shipment(session: AsyncSession, shipment_id: UUID) -> Announcement | None:
    query = select(Announcement).where(Announcement.shipment_id == shipment_id).with_for_update()
    return (await session.execute(query.execution_options(populate_existing=True))).scalar_one_or_none()


async def _locked(session: AsyncSession, announcement_id: UUID) -> Announcement:
    query = select(Announcement).where(Announcement.id == announcement_id).with_for_update()
    row = (await session.execute(query.execution_options(populate_existing=True))).scalar_one_or_none()
    if row is None:
        raise NoSuchAnnouncement()
    return row


async def _take(session: AsyncSession, row: Announcement) -> None:
    now = clock.now()
    taken = await session.execute(
        update(Announcement)
        .where(Announcement.id == row.id, or_(Announcement.busy_until.is_(None), Announcement.busy_until <= now))
        .values(busy_until=now + LEASE)
        .returning(Announcement.id)
    )
    if taken.scalar_one_or_none() is None:
        raise Later(timedelta(seconds=15))


def _move(row: Announcement, to: AnnouncementState) -> None:
    if to not in ANNOUNCEMENT_MOVES[AnnouncementState(row.state)]:
        raise IllegalAnnouncementMove(f"The announcement is {row.state}; it cannot become {to}.")
    row.state = to.value
