"""Reading shipments: lists, one whole, the facts others need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, or_, select, text, true
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.couriers.contract import Flow, Progress
from shipcrowd.kernel import crypto, pages, tenancy
from shipcrowd.kernel.clock import IST
from shipcrowd.orders.models import Order, OrderLine
from shipcrowd.settings import settings
from shipcrowd.shipping.booking import ShipmentNotFound, track_link
from shipcrowd.shipping.models import OF_PROGRESS, ScanRow, Shipment, ShipmentLine, State
from shipcrowd.shipping.tracking import pod_about


class ShipmentFilter(BaseModel):
    """Filters of the shipments list, named after the fields. Dates are Indian days, both included."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: list[State] = []
    courier: str | None = Field(default=None, max_length=40)
    order_id: UUID | None = None
    manifest_id: UUID | None = None
    payment: str | None = Field(default=None, pattern="^(cod|prepaid)$")
    created_from: pages.Day | None = None
    created_to: pages.Day | None = None
    text: str | None = Field(default=None, min_length=1, max_length=60)


def conditions(wanted: ShipmentFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.state:
        found.append(Shipment.state.in_(wanted.state))
    if wanted.courier:
        found.append(Shipment.courier == wanted.courier)
    if wanted.order_id:
        found.append(Shipment.order_id == wanted.order_id)
    if wanted.manifest_id:
        found.append(Shipment.manifest_id == wanted.manifest_id)
    if wanted.payment:
        found.append(Shipment.payment == wanted.payment)
    if wanted.created_from:
        found.append(Shipment.created_at >= datetime.combine(wanted.created_from, time(), IST))
    if wanted.created_to:
        found.append(Shipment.created_at < datetime.combine(wanted.created_to + timedelta(days=1), time(), IST))
    if wanted.text:
        words = wanted.text.strip()
        found.append(
            or_(
                Shipment.awb == words, Shipment.number == words.upper(), Shipment.order_number.in_([words, f"#{words}"])
            )
        )
    return found


async def page_of(
    session: AsyncSession, wanted: ShipmentFilter, *, after: str | None, limit: int
) -> tuple[Sequence[Shipment], str | None]:
    """A page of shipments, newest first, and the cursor of the next. One query."""
    query = (
        select(Shipment)
        .where(Shipment.company_id == tenancy.company_of(session), *conditions(wanted))
        .where(pages.older_than(Shipment.created_at, Shipment.id, after) if after else true())
        .order_by(Shipment.created_at.desc(), Shipment.id.desc())
        .limit(limit + 1)
    )
    rows = (await session.execute(query)).scalars().all()
    return pages.page(rows, limit, lambda row: (row.created_at, row.id))


async def got(session: AsyncSession, shipment_id: UUID) -> Shipment:
    """Raises ShipmentNotFound."""
    shipment = await session.get(Shipment, (tenancy.company_of(session), shipment_id))
    if shipment is None:
        raise ShipmentNotFound
    return shipment


async def of_order(session: AsyncSession, order_id: UUID) -> Sequence[Shipment]:
    """An order's parcels, newest first, refused and cancelled ones too."""
    query = (
        select(Shipment).where(Shipment.order_id == order_id).order_by(Shipment.created_at.desc(), Shipment.id.desc())
    )
    return (await session.execute(query)).scalars().all()


async def scans_of(session: AsyncSession, shipment_id: UUID) -> Sequence[ScanRow]:
    """What happened to a parcel, newest first."""
    query = select(ScanRow).where(ScanRow.shipment_id == shipment_id).order_by(ScanRow.at.desc(), ScanRow.id.desc())
    return (await session.execute(query)).scalars().all()


@dataclass(frozen=True)
class DispatchFacts:
    """What a sales channel may be told of a parcel. `lines` is (the channel's line id, units)."""

    shipment_id: UUID
    order_id: UUID
    order_external_ref: str | None
    connection_id: UUID | None
    courier: str
    awb: str | None
    carrier: str
    tracking_url: str
    state: str
    progress: Progress | None
    moved_at: datetime
    lines: tuple[tuple[str, int], ...]


async def dispatch_facts(session: AsyncSession, shipment_id: UUID) -> DispatchFacts | None:
    """The facts of one parcel on its way to a buyer; None for a return, or no parcel at all. Two queries."""
    row = (
        await session.execute(
            select(Shipment, Order)
            .join(Order, (Order.company_id == Shipment.company_id) & (Order.id == Shipment.order_id))
            .where(Shipment.id == shipment_id)
        )
    ).one_or_none()
    if row is None:
        return None
    shipment, order = row
    if shipment.flow == Flow.reverse:
        return None  # a pickup at the buyer's is no dispatch
    lines = await session.execute(
        select(OrderLine.external_id, ShipmentLine.units)
        .join(
            ShipmentLine,
            (ShipmentLine.company_id == OrderLine.company_id) & (ShipmentLine.order_line_id == OrderLine.id),
        )
        .where(ShipmentLine.shipment_id == shipment_id)
        .order_by(OrderLine.position)
    )
    return DispatchFacts(
        shipment_id=shipment.id,
        order_id=order.id,
        order_external_ref=order.external_ref or order.external_id,
        connection_id=order.connection_id,
        courier=shipment.courier,
        awb=shipment.awb,
        carrier=shipment.carrier,
        tracking_url=tracking_url(shipment),
        state=shipment.state,
        progress=PROGRESS_OF.get(State(shipment.state)),
        moved_at=shipment.moved_at,
        lines=tuple(lines.all()),
    )


PROGRESS_OF: Mapping[State, Progress] = {state: progress for progress, state in OF_PROGRESS.items()}


def tracking_url(shipment: Shipment) -> str:
    """Our own page for the buyer."""
    return f"{settings().public_url.rstrip('/')}/track/{track_link(shipment)}"


def pod_of(shipment: Shipment) -> Mapping[str, str | None] | None:
    """Proof of delivery: receiver, image and signature addresses, as far as the courier gave them."""
    if shipment.pod is None:
        return None
    return crypto.keyring().open_json(shipment.pod, pod_about(shipment.company_id, shipment.id))


async def stats(session: AsyncSession) -> dict[str, int]:
    """Shipments by state."""
    rows = await session.execute(text("SELECT state, count(*) FROM shipments GROUP BY state"))
    return dict(rows.all())
