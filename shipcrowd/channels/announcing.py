"""Telling stores of parcels: listeners to what shipping does. What is due, and what came of it, is `announcements`.

Each call is safe to repeat, so one that may or may not have arrived is simply made again.
"""

import contextlib
from collections.abc import AsyncGenerator
from datetime import datetime
from uuid import UUID

from shipcrowd.channels import announcements, untold
from shipcrowd.channels.announcements import Told
from shipcrowd.channels.contract import AnnouncesDispatch, ChangesDeliveryDate, EditsDispatch, Milestone
from shipcrowd.channels.open import lost, opened
from shipcrowd.connections import service as connections
from shipcrowd.connections.models import Connection
from shipcrowd.kernel.jobs import Later, job, on
from shipcrowd.kernel.outbound import Disconnected, OutsideFailure, Refused, Unavailable
from shipcrowd.kernel.tenancy import acting_for

PATIENTLY = on(Exception, times=8, first=2.0)
STEADILY = on(Exception, times=8, first=10.0)
"""How a parcel's steps are told: an outage of some minutes is none of the seller's business."""


@job(retry=PATIENTLY, name="channels.announce")
async def announce(company_id: UUID, shipment_id: UUID) -> None:
    """Hears ShipmentBooked: tell the store."""
    async with acting_for(company_id) as session:
        news = await announcements.due(session, shipment_id)
    if news is None:
        return
    channel = opened(news.connection)
    if not isinstance(channel, AnnouncesDispatch):
        async with acting_for(company_id) as session:
            await announcements.refused(session, news.announcement_id, "This channel cannot be told of parcels.")
        return
    async with _talking(news.connection, news.announcement_id) as went:
        ref = await channel.dispatched(news.order_ref, news.dispatch)
        async with acting_for(company_id) as session:
            date_wished = await announcements.sent(session, news.announcement_id, ref)
            # The parcel may have moved, or been cancelled, while the store was told.
            for then in (progress, tell_date) if date_wished else (progress,):
                await then.with_(key=f"{company_id}:{shipment_id}").enqueue(
                    session, company_id=company_id, shipment_id=shipment_id
                )
    if went.refused is not None:
        async with acting_for(company_id) as session:
            await announcements.refused(session, news.announcement_id, went.refused)


@announce.exhausted
async def _not_announced(company_id: UUID, shipment_id: UUID) -> None:
    async with acting_for(company_id) as session:
        connection_id = await announcements.store_of(session, shipment_id)
        if connection_id is not None:
            await connections.failed(session, connection_id, "The store did not take the news of a parcel.")
            await untold.put_off(session, [shipment_id])


@job(retry=STEADILY, name="channels.progress")
async def progress(company_id: UUID, shipment_id: UUID) -> None:
    """Hears ShipmentMoved and ShipmentDelivered: tell the store where the parcel is by now."""
    async with acting_for(company_id) as session:
        if await announcements.untold(session, shipment_id):
            await announce.with_(key=f"{company_id}:{shipment_id}").enqueue(
                session, company_id=company_id, shipment_id=shipment_id
            )
            return
        told = await announcements.progress_due(session, shipment_id)
    if told is None or told.milestone is None or told.at is None:
        return
    channel = opened(told.connection)
    assert isinstance(channel, AnnouncesDispatch)
    error = ""
    async with _talking(told.connection, told.announcement_id) as went:
        if told.once:
            error = await _once(channel, told, told.milestone, told.at)
        else:
            await channel.moved(told.dispatch_ref, told.milestone, told.at, announcements.WORDS[told.milestone])
    if went.lost:
        return
    async with acting_for(company_id) as session:
        await announcements.told(session, told.announcement_id, told.milestone, told.at, went.refused or error)


async def _once(channel: AnnouncesDispatch, told: Told, milestone: Milestone, at: datetime) -> str:
    """Tell what the store keeps no trace of, at most once: that it is told is noted before, and where the answer was
    lost, or the process died, nobody tells it again. What went before it is caught up with first, which is safe to
    repeat. Why it was not told; blank when it was."""
    words, company_id = announcements.WORDS, told.connection.company_id
    await channel.moved(told.dispatch_ref, Milestone.in_transit, at, words[Milestone.in_transit])
    if told.unsure:
        return announcements.UNKNOWN
    async with acting_for(company_id) as session:
        await announcements.about_to_tell(session, told.announcement_id, milestone)
    try:
        await channel.moved(told.dispatch_ref, milestone, at, words[milestone])
    except (Later, Disconnected, Unavailable) as failure:
        if not getattr(failure, "maybe_received", False):
            async with acting_for(company_id) as session:
                await announcements.about_to_tell(session, told.announcement_id, None)
        raise
    return ""


@progress.exhausted
async def _not_moved(company_id: UUID, shipment_id: UUID) -> None:
    async with acting_for(company_id) as session:
        connection_id = await announcements.store_of(session, shipment_id)
        if connection_id is not None:
            words = "The store could not be told how a parcel fares; it is told again."
            await connections.failed(session, connection_id, words)
            await untold.put_off(session, [shipment_id])


@job(retry=STEADILY, name="channels.tell_date")
async def tell_date(company_id: UUID, shipment_id: UUID) -> None:
    """Tell the store that a parcel it knows is expected on another day, if that was wished for (`untold.wish_date`)."""
    async with acting_for(company_id) as session:
        told = await announcements.date_due(session, shipment_id)
    if told is None or told.expected is None:
        return
    channel = opened(told.connection)
    async with _talking(told.connection, told.announcement_id) as went:
        if not isinstance(channel, ChangesDeliveryDate):
            raise Refused("cannot_reschedule", "This channel is not told of delivery dates.")
        await channel.rescheduled(told.dispatch_ref, told.expected)
    if went.lost:
        return
    async with acting_for(company_id) as session:
        if await announcements.rescheduled(session, told.announcement_id, told.expected, went.refused):
            await tell_date.enqueue(session, company_id=company_id, shipment_id=shipment_id)


@tell_date.exhausted
async def _not_dated(company_id: UUID, shipment_id: UUID) -> None:
    async with acting_for(company_id) as session:
        await untold.put_off(session, [shipment_id])


@job(retry=PATIENTLY, name="channels.withdraw")
async def withdraw(company_id: UUID, shipment_id: UUID) -> None:
    """Hears ShipmentCancelled: take the dispatch back at the store."""
    await _take_back(company_id, shipment_id)


@withdraw.exhausted
async def _not_withdrawn(company_id: UUID, shipment_id: UUID) -> None:
    async with acting_for(company_id) as session:
        await untold.put_off(session, [shipment_id])


@job(retry=PATIENTLY, name="channels.announce_anew")
async def announce_anew(company_id: UUID, shipment_id: UUID) -> None:
    """Hears ShipmentAwbChanged: tell the store of the right AWB; where it cannot edit what it was told, the dispatch
    with the wrong one is taken back first."""
    async with acting_for(company_id) as session:
        connection = await announcements.misled(session, shipment_id)
    if connection is not None and isinstance(opened(connection), EditsDispatch):
        await _correct(company_id, shipment_id)
        return
    await _take_back(company_id, shipment_id)
    async with acting_for(company_id) as session:
        if await announcements.due_again(session, shipment_id):
            await announce.with_(key=f"{company_id}:{shipment_id}").enqueue(
                session, company_id=company_id, shipment_id=shipment_id
            )


@announce_anew.exhausted
async def _not_announced_anew(company_id: UUID, shipment_id: UUID) -> None:
    async with acting_for(company_id) as session:
        await untold.put_off(session, [shipment_id])


async def _correct(company_id: UUID, shipment_id: UUID) -> None:
    async with acting_for(company_id) as session:
        news = await announcements.correction_due(session, shipment_id)
    if news is None:
        return
    channel = opened(news.connection)
    assert isinstance(channel, EditsDispatch)
    async with _talking(news.connection, news.announcement_id) as went:
        ref = await channel.corrected(news.order_ref, news.dispatch)
        async with acting_for(company_id) as session:
            await announcements.corrected(session, news.announcement_id, ref)
    if went.refused is not None:
        async with acting_for(company_id) as session:
            await announcements.not_corrected(session, news.announcement_id, went.refused)


async def _take_back(company_id: UUID, shipment_id: UUID) -> None:
    async with acting_for(company_id) as session:
        told = await announcements.withdrawal_due(session, shipment_id)
    if told is None:
        return
    channel = opened(told.connection)
    assert isinstance(channel, AnnouncesDispatch)
    async with _talking(told.connection, told.announcement_id) as went:
        await channel.withdrawn(told.dispatch_ref)
    if went.lost:
        return
    async with acting_for(company_id) as session:
        await announcements.withdrawn(session, told.announcement_id, went.refused or "")


class _Went:
    """How a call about a parcel went: taken, refused (with the store's words), or the store was lost."""

    refused: str | None = None
    lost: bool = False


@contextlib.asynccontextmanager
async def _talking(connection: Connection, announcement_id: UUID) -> AsyncGenerator[_Went]:
    """Around one call about a parcel: its failures, told apart. Unavailable and Malformed go on to be tried again,
    for every such call is safe to repeat; whatever happens, the row's lease is let go."""
    went = _Went()
    try:
        yield went
    except Refused as refusal:
        went.refused = refusal.message
    except Disconnected as failure:
        went.lost = True
        await _let_go(connection, announcement_id, failure.reason)
        await lost(connection, failure)
    except Later:
        await _let_go(connection, announcement_id, "")
        raise
    except BaseException as error:
        words = str(error) if isinstance(error, OutsideFailure) else type(error).__name__
        await _let_go(connection, announcement_id, words)
        raise


async def _let_go(connection: Connection, announcement_id: UUID, error: str) -> None:
    async with acting_for(connection.company_id) as session:
        await announcements.let_go(session, announcement_id, error)
