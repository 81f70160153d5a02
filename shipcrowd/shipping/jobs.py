"""What happens to parcels in the background: asking couriers, fetching labels, looking after tracking."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

import structlog
from prometheus_client import Gauge
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.couriers import vendors
from shipcrowd.couriers.contract import (
    Courier,
    NotPrepared,
    Paper,
    PreparesTogether,
    RegistersPickupPoints,
    TracksByItsOwnId,
)
from shipcrowd.identity.models import Company
from shipcrowd.kernel import clock, inbox, tenancy
from shipcrowd.kernel.errors import ShipcrowdError
from shipcrowd.kernel.inbox import Outcome
from shipcrowd.kernel.jobs import Later, enqueue_many, job, on
from shipcrowd.kernel.outbound import Disconnected, Malformed, Refused, Unavailable
from shipcrowd.locations import service as locations
from shipcrowd.locations.schemas import PlaceDetails
from shipcrowd.shipping import booking, books, bulk, cancelling, labels, news, papers, places, quoting
from shipcrowd.shipping.accounts import NO_ACCOUNT, NoCourierAccount, accounts, using
from shipcrowd.shipping.booking import ToBook
from shipcrowd.shipping.models import Shipment, State

log = structlog.get_logger(__name__)

MISMATCHES = Gauge("shipcrowd_held_money_mismatches", "Holds that differ from their open bookings at the last check")

MAY_STILL_BE_BOOKING = timedelta(minutes=5)

CLAIMED_FOR = timedelta(minutes=10)
GATHER = timedelta(seconds=2)
"""So long a bulk run gathers what a courier prepares together."""
PREPARED_AT_ONCE = 100

SWEEP = 2000
"""Parcels one sweep looks after; the next sweep takes the rest."""


# --- booking --------------------------------------------------------------------------------------------------------


@job(retry=on(Unavailable, times=8), seconds=120)
async def request_label(company_id: UUID, shipment_id: UUID) -> None:
    """Ask the courier for a booked shipment's AWB."""
    async with tenancy.acting_for(company_id) as session:
        prepared = await booking.start_attempt(session, shipment_id)
    if prepared is None:
        return None
    asked, name = False, vendors.vendor(prepared.courier).name
    try:
        async with using(prepared.courier, prepared.account_company_id, prepared.account_id) as courier:
            if missing := booking.unregistered(courier, prepared):
                await _register(company_id, courier, prepared, missing)
                async with tenancy.acting_for(company_id) as session:
                    await booking.attempt_failed(session, shipment_id)
                    prepared = await booking.start_attempt(session, shipment_id)
                if prepared is None:
                    return None
            asked = True
            given = await courier.book(prepared.request)
    except Later:
        async with tenancy.acting_for(company_id) as session:
            await booking.attempt_failed(session, shipment_id)
        raise
    except Unavailable as failure:
        async with tenancy.acting_for(company_id) as session:
            if asked and failure.maybe_received:
                log.warning("booking without an answer", shipment_id=str(shipment_id), error=str(failure))
                because = f"{name} was asked and its answer did not come"
                return await booking.outcome_unknown(session, shipment_id, because=because)
            await booking.attempt_failed(session, shipment_id)
        raise
    except Malformed as failure:
        async with tenancy.acting_for(company_id) as session:
            if asked:
                return await booking.outcome_unknown(session, shipment_id, because=str(failure))
            return await booking.refuse(session, shipment_id, code="unreadable_answer", because=str(failure))
    except Refused as refusal:
        async with tenancy.acting_for(company_id) as session:
            return await booking.refuse(session, shipment_id, code=refusal.code, because=refusal.message)
    except (Disconnected, NoCourierAccount) as failure:
        because = f"the courier account must be connected again: {failure}"
        async with tenancy.acting_for(company_id) as session:
            return await booking.refuse(session, shipment_id, code="courier_disconnected", because=because)
    async with tenancy.acting_for(company_id) as session:
        await booking.booked(session, shipment_id, given)
        if given.label_url:
            await fetch_label.enqueue(session, company_id=company_id, shipment_id=shipment_id)
        if Paper.invoice in vendors.vendor(prepared.courier).papers:
            await fetch_invoice.enqueue(session, company_id=company_id, shipment_id=shipment_id)
    return None


@request_label.exhausted
async def _courier_never_answered(company_id: UUID, shipment_id: UUID) -> None:
    async with tenancy.acting_for(company_id) as session:
        await booking.give_up(session, shipment_id)


async def _register(company_id: UUID, courier: Courier, prepared: ToBook, missing: Sequence[PlaceDetails]) -> None:
    assert isinstance(courier, RegistersPickupPoints)
    for place in missing:
        await register_at(company_id, courier, prepared.courier, prepared.account_id, place)


async def register_at(
    company_id: UUID, courier: RegistersPickupPoints, slug: str, account_id: UUID, place: PlaceDetails
) -> str:
    """Make a place known to a courier and record its id there, or the courier's reason. Raises what it raises."""
    try:
        registered_as = await courier.register_pickup_point(booking.point(place))
    except Refused as refusal:
        async with tenancy.acting_for(company_id) as session:
            await locations.record_registration(
                session, place.id, account_id=account_id, courier=slug, version=place.version, error=refusal.message
            )
        raise Refused(refusal.code, f"the pickup address was not accepted: {refusal.message}") from refusal
    async with tenancy.acting_for(company_id) as session:
        await locations.record_registration(
            session, place.id, account_id=account_id, courier=slug, version=place.version, registered_as=registered_as
        )
    return registered_as


@job(retry=on(Unavailable, Malformed, times=6, first=5))
async def fetch_label(company_id: UUID, shipment_id: UUID) -> None:
    """Store the courier's label PDF; until it is there ours is printed, but for couriers of `own_label`."""
    await labels.fetch(company_id, shipment_id)


@job(retry=on(Unavailable, Malformed, times=6, first=5))
async def fetch_invoice(company_id: UUID, shipment_id: UUID) -> None:
    """Keep the invoice a marketplace's courier made; one that never comes is asked for again when it is wanted."""
    try:
        await papers.fetch_invoice(company_id, shipment_id)
    except (Refused, Disconnected, NoCourierAccount) as failure:
        log.warning("invoice not fetched", shipment_id=str(shipment_id), error=str(failure))


@job(retry=on(Unavailable, times=6, first=30))
async def register_place(company_id: UUID, place_id: UUID) -> None:
    """Make a new or changed place known to every courier account that wants to know."""
    usable = [account for account in await accounts(company_id) if account.usable and account.id != NO_ACCOUNT]
    async with tenancy.acting_for(company_id) as session:
        known = {account.id: await places.as_told(session, place_id, account_id=account.id) for account in usable}
    for account in usable:
        if known[account.id].registered_as is not None:
            continue
        try:
            async with using(account.vendor.slug, account.company_id, account.id) as courier:
                if isinstance(courier, RegistersPickupPoints):
                    await register_at(company_id, courier, account.vendor.slug, account.id, known[account.id])
        except (Refused, Disconnected, NoCourierAccount) as failure:
            log.warning("place not registered", courier=account.vendor.slug, error=str(failure))


# --- many at once ---------------------------------------------------------------------------------------------------


@job(retry=on(quoting.CouriersUnavailable, Unavailable, times=5, first=2), seconds=60, concurrency=8)
async def ship_order(company_id: UUID, run_id: UUID, order_id: UUID) -> None:
    """Quote one order of a bulk run, choose as the run says, book; the result is in the run."""
    async with tenancy.acting_for(company_id) as session:
        run = await bulk.got(session, run_id)
        choose, place_id, actor = run.choose, run.place_id, run.actor
        waiting = await bulk.item(session, run_id, order_id)
        if waiting is None or waiting.state != "waiting":
            return
    try:
        quote = await quoting.quote(company_id, order_id, place_id=place_id)
        option = bulk.chosen(quoting.options_of(quote), "fastest" if choose == "fastest" else "cheapest")
        async with tenancy.acting_for(company_id) as session:
            waiting = await bulk.item(session, run_id, order_id)
            if waiting is None or waiting.state != "waiting":
                return
            shipment = await booking.book(
                session, quote.id, service=option.service, account_id=option.account_id, actor=actor
            )
            waiting.state, waiting.shipment_id = "booking", shipment.id
            if vendors.vendor(shipment.courier).together:
                waiting.state = "preparing"
                await prepare_labels.with_(key=f"{run_id}:{shipment.account_id}", after=GATHER).enqueue(
                    session, company_id=company_id, run_id=run_id, account_id=shipment.account_id
                )
            else:
                await request_label.enqueue(session, company_id=company_id, shipment_id=shipment.id)
    except quoting.CouriersUnavailable:
        raise
    except ShipcrowdError as error:
        async with tenancy.acting_for(company_id) as session:
            await bulk.refused(session, run_id, order_id, code=error.code(), message=error.detail or error.title())


@job(retry=on(Unavailable, times=6, first=2), seconds=120)
async def prepare_labels(company_id: UUID, run_id: UUID, account_id: UUID) -> None:
    """Have a courier prepare together what a bulk run books with one account. What cannot be is refused by itself; each
    of the others is booked as ever."""
    while True:
        async with tenancy.acting_for(company_id) as session:
            found = await bulk.preparing(session, run_id, account_id, limit=PREPARED_AT_ONCE)
            asked = [
                await booking.to_book(session, order, shipment)
                for order, shipment in found
                if shipment.state == State.booking and order.cancel_asked_at is None
            ]
        if not found:
            return
        size = vendors.vendor(found[0][1].courier).together or 1
        refused: list[NotPrepared] = []
        for start in range(0, len(asked), size):
            refused += await _prepare(asked[start : start + size])
        async with tenancy.acting_for(company_id) as session:
            for each in refused:
                await booking.refuse(session, UUID(each.reference), code=each.code, because=each.message)
            await _book_each(session, run_id, [shipment.id for _, shipment in found])


async def _prepare(asked: Sequence[ToBook]) -> Sequence[NotPrepared]:
    try:
        async with using(asked[0].courier, asked[0].account_company_id, asked[0].account_id) as courier:
            if isinstance(courier, PreparesTogether):
                return await courier.prepare([each.request for each in asked])
    except (Refused, Disconnected, Malformed, NoCourierAccount) as failure:
        log.warning("not prepared together", courier=asked[0].courier, error=str(failure))
    return ()  # booking each says what is wrong


async def _book_each(session: AsyncSession, run_id: UUID, shipment_ids: Sequence[UUID]) -> None:
    company_id = tenancy.company_of(session)
    ready = await bulk.prepared(session, run_id, shipment_ids)
    payloads = [{"company_id": company_id, "shipment_id": shipment_id} for shipment_id in ready]
    await enqueue_many(session, request_label, payloads)


@prepare_labels.exhausted
async def _never_prepared(company_id: UUID, run_id: UUID, account_id: UUID) -> None:
    """Booking each tries on, and says what is wrong where it cannot."""
    async with tenancy.acting_for(company_id) as session:
        found = await bulk.preparing(session, run_id, account_id, limit=bulk.MOST)
        await _book_each(session, run_id, [shipment.id for _, shipment in found])


async def enqueue_run(session: AsyncSession, run_id: UUID, order_ids: Sequence[UUID]) -> None:
    """Enqueue `ship_order` for each order of a run, in one statement."""
    company_id = tenancy.company_of(session)
    wanted = dict.fromkeys(order_ids)
    payloads = [{"company_id": company_id, "run_id": run_id, "order_id": order_id} for order_id in wanted]
    await enqueue_many(session, ship_order, payloads)


@ship_order.exhausted
async def _never_quoted(company_id: UUID, run_id: UUID, order_id: UUID) -> None:
    async with tenancy.acting_for(company_id) as session:
        await bulk.refused(
            session, run_id, order_id, code="couriers_unavailable", message="no courier answered; try again later"
        )


# --- tracking -------------------------------------------------------------------------------------------------------


@job()
async def sweep_tracking() -> None:
    """Look for parcels whose tracking is due and hand them out in batches, one courier call each."""
    due: Mapping[tuple[str, UUID, UUID], list[str]] = defaultdict(list)
    async with tenancy.acting_for_platform(why="tracking sweep") as session:
        waiting = (
            select(Shipment.company_id, Shipment.id)
            .where(Shipment.next_check_at <= clock.now(), Shipment.awb.is_not(None))
            .order_by(Shipment.next_check_at)
            .limit(SWEEP)
            .with_for_update(skip_locked=True)
        ).cte("waiting")
        # Claimed, so that the next sweep does not hand them out again while the courier is slow to answer.
        rows = await session.execute(
            update(Shipment)
            .where(Shipment.company_id == waiting.c.company_id, Shipment.id == waiting.c.id)
            .values(next_check_at=clock.now() + CLAIMED_FOR)
            .returning(Shipment.courier, Shipment.account_company_id, Shipment.account_id, Shipment.awb)
        )
        for courier, owner, account_id, awb in rows:
            due[(courier, owner, account_id)].append(awb or "")
        for (courier, owner, account_id), awbs in due.items():
            if not vendors.vendor(courier).tracked:
                continue
            size = vendors.vendor(courier).tracking_batch
            for start in range(0, len(awbs), size):
                batch = sorted(awbs[start : start + size])
                await track.with_(key=f"{account_id}:{batch[0]}:{batch[-1]}").enqueue(
                    session, courier=courier, account_company_id=owner, account_id=account_id, awbs=tuple(batch)
                )


@job(seconds=1800, concurrency=1)
async def check_books() -> None:
    """Look whether the money held in each company belongs to exactly its open bookings, and say where it does not."""
    async with tenancy.acting_for_platform(why="held money of all companies") as session:
        company_ids = (await session.execute(select(Company.id))).scalars().all()
    found = 0
    for company_id in company_ids:
        async with tenancy.acting_for(company_id) as session:
            for mismatch in await books.held_but_not_open(session):
                found += 1
                log.error(
                    "held money and open bookings differ",
                    company_id=str(company_id),
                    reference=mismatch.reference,
                    held_paise=mismatch.held.paise,
                    open_paise=mismatch.open.paise,
                )
    MISMATCHES.set(found)


async def track_one(session: AsyncSession, shipment: Shipment) -> None:
    """Look at one parcel's tracking now; nothing for one without an AWB."""
    if shipment.awb is None or not vendors.vendor(shipment.courier).tracked:
        return
    await track.with_(key=f"{shipment.account_id}:{shipment.awb}", priority=5).enqueue(
        session,
        courier=shipment.courier,
        account_company_id=shipment.account_company_id,
        account_id=shipment.account_id,
        awbs=(shipment.awb,),
    )


@job(seconds=120)
async def track(courier: str, account_company_id: UUID, account_id: UUID, awbs: tuple[str, ...]) -> None:
    """Ask a courier how these parcels fare and tell each; they may belong to different companies."""
    whose = await news.by_awb(courier, awbs)
    try:
        async with using(courier, account_company_id, account_id) as handle:
            ids = await news.courier_ids(courier, whose) if isinstance(handle, TracksByItsOwnId) else {}
            replies = dict(await handle.scans_of(ids)) if ids and isinstance(handle, TracksByItsOwnId) else {}
            if others := [awb for awb in awbs if awb not in ids]:
                replies |= await handle.scans(others)  # one whose AWB a person typed has no other id
    except (Refused, Disconnected, NoCourierAccount) as failure:
        log.warning("tracking refused", courier=courier, error=str(failure))
        await _checked(whose, later=timedelta(hours=1))
        return
    except Unavailable as failure:
        # Not tried again here: the sweep does, and an outage of a courier leaves no heap of held jobs.
        log.warning("tracking unavailable", courier=courier, error=str(failure))
        await _put_off(whose, timedelta(seconds=max(failure.retry_after or 0, 300)))
        return
    except Malformed as failure:
        log.exception("tracking unreadable", courier=courier, error=str(failure))
        await _checked(whose, later=timedelta(minutes=30))
        return
    for awb, reply in replies.items():
        if reply.error is None:
            await news.tell(
                courier,
                awb,
                reply.scans,
                via="poll",
                reference=reply.reference,
                pod=reply.pod,
                track_url=reply.track_url,
                owner=account_company_id,
            )
    await _checked(whose)


async def _put_off(whose: Mapping[str, news.Whose], wait: timedelta) -> None:
    """Look at these again after `wait`; this time told nothing."""
    for company_id, shipment_ids in _by_company(whose).items():
        async with tenancy.acting_for(company_id) as session:
            await session.execute(
                update(Shipment)
                .where(Shipment.id.in_(shipment_ids), Shipment.next_check_at.is_not(None))
                .values(next_check_at=clock.now() + wait)
            )


def _by_company(whose: Mapping[str, news.Whose]) -> Mapping[UUID, Sequence[UUID]]:
    by_company: dict[UUID, list[UUID]] = defaultdict(list)
    for found in whose.values():
        by_company[found.company_id].append(found.shipment_id)
    return by_company


async def _checked(whose: Mapping[str, news.Whose], *, later: timedelta | None = None) -> None:
    """Record that these were looked at; `later` puts the next look off (else the state's own rhythm stands)."""
    for company_id, shipment_ids in _by_company(whose).items():
        async with tenancy.acting_for(company_id) as session:
            now = clock.now()
            await session.execute(update(Shipment).where(Shipment.id.in_(shipment_ids)).values(last_checked_at=now))
            await session.execute(
                update(Shipment)
                .where(Shipment.id.in_(shipment_ids), Shipment.next_check_at <= now + CLAIMED_FOR)
                .values(next_check_at=now + (later or timedelta(hours=2)))
            )


@job(retry=on(Unavailable, times=5), seconds=120)
async def take_scans(company_id: UUID, delivery_id: UUID) -> None:
    """Read one stored courier webhook and tell the parcels it names."""
    async with tenancy.acting_for(company_id) as session:
        delivery = await inbox.waiting(session, delivery_id)
        if delivery is None:
            return
        courier, topic = delivery.vendor, delivery.topic
        _, body = inbox.opened(delivery)
    webhooks = vendors.vendor(courier).webhooks
    assert webhooks is not None
    try:
        found = webhooks.read(topic, body)
    except Malformed as failure:
        async with tenancy.acting_for(company_id) as session:
            await inbox.fail(session, delivery_id, str(failure))
        return
    known = [
        await news.tell(
            courier,
            event.awb,
            event.scans,
            via="webhook",
            reference=event.reference,
            pod=event.pod,
            weight_grams=event.weight_grams,
            owner=company_id,
        )
        for event in found
    ]
    async with tenancy.acting_for(company_id) as session:
        again = await inbox.waiting(session, delivery_id)
        if again is not None:
            if not all(known) and clock.now() - again.received_at < MAY_STILL_BE_BOOKING:
                # The courier may be quicker with its news than with its answer to our booking.
                raise Later(timedelta(seconds=20))
            outcome = Outcome.handled if all(known) else Outcome.ignored
            inbox.settle(again, outcome, "" if all(known) else "no parcel of ours has this AWB")
            again.body = None  # what it said stands in the scans; couriers write receivers' names into it


# --- reactions ------------------------------------------------------------------------------------------------------


@job(retry=on(Unavailable, times=6, first=10))
async def cancel_with_order(company_id: UUID, order_id: UUID) -> None:
    """The channel cancelled an order that is booked here: cancel what has not been picked up."""
    async with tenancy.acting_for(company_id) as session:
        shipment_ids = await cancelling.active_of_order(session, order_id)
    for shipment_id in shipment_ids:
        try:
            await cancelling.ask(company_id, shipment_id, actor="system")
        except (cancelling.CannotCancel, NoCourierAccount, Refused, Disconnected, Malformed) as failure:
            log.warning("parcel of a cancelled order goes on", shipment=str(shipment_id), error=str(failure))
