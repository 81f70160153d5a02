"""From scans to state: kept once, read in the order they happened, never moving a parcel back.

The state is always worked out from the whole history, so it does not matter in which order the news arrived.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import structlog
from prometheus_client import Counter
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.couriers import vendors
from shipcrowd.couriers.contract import Flow, Pod, Progress, Scan
from shipcrowd.kernel import clock, crypto, events
from shipcrowd.kernel.errors import Conflict
from shipcrowd.kernel.events import Event
from shipcrowd.kernel.ids import new_id
from shipcrowd.orders import service as orders
from shipcrowd.orders.models import MOVES as ORDER_MOVES
from shipcrowd.orders.models import Order, OrderState
from shipcrowd.shipping import settling
from shipcrowd.shipping.events import (
    DeliveryFailed,
    ReturningToOrigin,
    ShipmentDelivered,
    ShipmentMoved,
)
from shipcrowd.shipping.models import (
    CAME_TO_NOTHING,
    CHECK_EVERY_MINUTES,
    ENDED,
    MOVES,
    OF_PROGRESS,
    ScanRow,
    Shipment,
    State,
)

log = structlog.get_logger(__name__)

UNKNOWN = Counter("shipcrowd_unknown_courier_status_total", "Courier statuses we have no word for", ["courier"])

Via = Literal["webhook", "poll", "person"]

FUTURE_ALLOWED = timedelta(hours=1)
"""A scan further ahead than a wrong clock explains is kept but does not count yet."""

ORDER_STATE: dict[State, OrderState] = {
    State.picked_up: OrderState.shipped,
    State.in_transit: OrderState.shipped,
    State.out_for_delivery: OrderState.shipped,
    State.delivery_failed: OrderState.shipped,
    State.delivered: OrderState.delivered,
    State.rto_initiated: OrderState.rto,
    State.rto_in_transit: OrderState.rto,
    State.rto_out_for_delivery: OrderState.rto,
    State.rto_delivered: OrderState.rto,
}

EVENTS: dict[State, type[Event]] = {
    State.delivered: ShipmentDelivered,
    State.delivery_failed: DeliveryFailed,
    State.rto_initiated: ReturningToOrigin,
    State.rto_in_transit: ReturningToOrigin,
    State.rto_delivered: ReturningToOrigin,
}


def advanced(start: State, progress: Iterable[Progress | None]) -> State:
    """The state after this history (oldest first). What is unknown or would move back changes nothing. Pure."""
    state = start
    for step in progress:
        if step is not None and (ahead := OF_PROGRESS[step]) in MOVES[state]:
            state = ahead
    return state


def pod_about(company_id: UUID, shipment_id: UUID) -> str:
    """What a sealed proof of delivery is bound to."""
    return f"pod:{company_id}:{shipment_id}"


async def locked(session: AsyncSession, shipment_id: UUID) -> tuple[Order, Shipment] | None:
    """A shipment and its order, locked in that one order everybody uses: the order first."""
    order_id = await session.scalar(select(Shipment.order_id).where(Shipment.id == shipment_id))
    if order_id is None:
        return None
    order = await orders.locked(session, order_id)
    query = select(Shipment).where(Shipment.id == shipment_id).with_for_update()
    shipment = (await session.execute(query.execution_options(populate_existing=True))).scalar_one()
    return order, shipment


async def take_scans(
    session: AsyncSession,
    shipment_id: UUID,
    scans: Sequence[Scan],
    *,
    via: Via,
    pod: Pod | None = None,
    weight_grams: int | None = None,
    track_url: str | None = None,
) -> bool:
    """Store what is new and move the shipment accordingly; whether anything was new. Safe to repeat.

    An unconfirmed shipment must be confirmed (its AWB learned) before its scans count.
    """
    found = await locked(session, shipment_id)
    if found is None:
        return False
    order, shipment = found
    fresh = await _store(session, shipment, scans, via)
    if weight_grams and shipment.scanned_weight_grams is None:
        shipment.scanned_weight_grams = weight_grams
    if track_url and shipment.courier_track_url is None:
        shipment.courier_track_url = track_url
    wanted = shipment.pod is None and shipment.redact_asked_at is None
    if pod is not None and wanted and any((pod.receiver, pod.image_url, pod.signature_url)):
        kept = {"receiver": pod.receiver, "image_url": pod.image_url, "signature_url": pod.signature_url}
        shipment.pod = crypto.keyring().seal_json(kept, pod_about(shipment.company_id, shipment.id))
    if fresh and shipment.awb is not None:
        await _work_out(session, order, shipment)
    plan_next_check(shipment)
    return bool(fresh)


async def _store(session: AsyncSession, shipment: Shipment, scans: Sequence[Scan], via: Via) -> int:
    if any(scan.seen for scan in scans):
        newest = select(ScanRow.status).where(ScanRow.shipment_id == shipment.id)
        latest = await session.scalar(newest.order_by(ScanRow.at.desc(), ScanRow.id.desc()).limit(1))
        scans = [scan for scan in scans if not (scan.seen and scan.status[:120] == latest)]
    if not scans:
        return 0
    now = clock.now()
    rows = [
        {
            "company_id": shipment.company_id,
            "id": new_id(),
            "shipment_id": shipment.id,
            "at": scan.at,
            "status": scan.status[:120],
            "progress": scan.progress,
            "location": scan.location[:200],
            # Couriers write names and phones into remarks.
            "remark": "" if shipment.redact_asked_at else scan.remark[:500],
            "received_at": now,
            "via": via,
        }
        for scan in scans
    ]
    for scan in scans:
        if scan.progress is None:
            UNKNOWN.labels(shipment.courier).inc()
    written = await session.execute(insert(ScanRow).values(rows).on_conflict_do_nothing().returning(ScanRow.id))
    return len(written.scalars().all())


async def _work_out(session: AsyncSession, order: Order, shipment: Shipment) -> None:
    if State(shipment.state) in ENDED:
        # A late scan from before the end is kept, and reopens nothing: a cancelled parcel's money and units are gone.
        return
    query = (
        select(ScanRow.at, ScanRow.progress, ScanRow.location)
        .where(ScanRow.shipment_id == shipment.id, ScanRow.at <= clock.now() + FUTURE_ALLOWED)
        .order_by(ScanRow.at, ScanRow.received_at, ScanRow.id)
    )
    history = (await session.execute(query)).all()
    state = State.cancelling if shipment.cancel_asked_at and not shipment.picked_up_at else State.pickup_pending
    since = clock.now()
    for at, progress, _ in history:
        ahead = advanced(state, [Progress(progress) if progress else None])
        if ahead is not state:
            state, since = ahead, at
    if history:
        shipment.last_location = history[-1][2] or shipment.last_location
    if state is not State(shipment.state):
        await arrive(session, order, shipment, state, at=since)


async def arrive(session: AsyncSession, order: Order, shipment: Shipment, state: State, *, at: datetime) -> None:
    """Put a booked shipment into a state its history led to, and let everyone know who must."""
    log.info("shipment moved", shipment=str(shipment.id), was=shipment.state, now=state)
    shipment.state = state
    shipment.moved_at = at
    if state is State.picked_up or (state in ORDER_STATE and shipment.picked_up_at is None):
        shipment.picked_up_at = shipment.picked_up_at or at
    if state is State.delivered:
        shipment.delivered_at = at
    if state in ENDED:
        shipment.ended_at = clock.now()
    if state in ENDED or shipment.picked_up_at is not None:
        shipment.label_until = None  # only what waits for its courier has its label fetched again
    words = state.replace("_", " ").replace("rto", "RTO")
    orders.tell(session, order, f"shipment_{state}", f"{shipment.number}: {words}", actor="courier")
    if state is State.cancelled:
        await settling.cancelled(session, order, shipment)
        return
    if shipment.flow == Flow.forward:
        await _lead(session, order)
    await events.publish(session, ShipmentMoved(shipment.company_id, shipment.id))
    if (also := EVENTS.get(state)) is not None:
        await events.publish(session, also(shipment.company_id, shipment_id=shipment.id))  # type: ignore[call-arg]


async def _lead(session: AsyncSession, order: Order) -> None:
    """Put an order where its parcels are. It stays as it is while units of it still wait for a parcel."""
    if any(orders.open_units_of(line) for line in await orders.lines_of(session, order.id)):
        return
    query = select(Shipment.state).where(
        Shipment.order_id == order.id, Shipment.flow == Flow.forward, Shipment.state.not_in(CAME_TO_NOTHING)
    )
    states = {State(state) for state in (await session.execute(query)).scalars()}
    wanted = order_state({ORDER_STATE.get(state) for state in states - {State.lost, State.damaged}})
    if wanted and wanted in ORDER_MOVES[OrderState(order.state)]:
        orders.move(order, wanted)
    if states <= ENDED:
        orders.end(order)


def order_state(reached: Collection[OrderState | None]) -> OrderState | None:
    """Where an order is whose parcels are there (None: not picked up): with the one that is least far. Pure."""
    if len(set(reached)) <= 1:
        return next(iter(reached), None)
    on_the_way = None in reached or OrderState.shipped in reached
    return OrderState.shipped if on_the_way else OrderState.rto


def plan_next_check(shipment: Shipment) -> None:
    """When its tracking is looked at again; never for one that ended, has no AWB, or whose courier nobody tracks."""
    minutes = CHECK_EVERY_MINUTES.get(State(shipment.state))
    known = minutes is not None and shipment.awb is not None and vendors.vendor(shipment.courier).tracked
    shipment.next_check_at = clock.now() + timedelta(minutes=minutes or 0) if known else None


def typed_progress(shipment: Shipment, progress: Progress, remark: str) -> Scan:
    """A scan typed by a person, for couriers nobody tracks. Raises Conflict for a tracked one."""
    if vendors.vendor(shipment.courier).tracked:
        raise Conflict(f"{shipment.carrier} reports by itself how its parcels fare")
    return Scan(at=clock.now(), status=progress.value, progress=progress, remark=remark)
