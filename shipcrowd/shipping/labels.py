"""Labels and packing slips on paper: the courier's own PDF untouched where there is one, else ours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.couriers import vendors
from shipcrowd.couriers.contract import FetchesLabels, LabelUnderWay, Payment
from shipcrowd.documents import keeping
from shipcrowd.documents.merge import NamedPdf, four_up_async, merged_async
from shipcrowd.documents.papers import (
    LabelData,
    LabelLine,
    Layout,
    PackingSlipData,
    PackingSlipLine,
    Party,
    SlipLayout,
)
from shipcrowd.documents.render import labels_pdf_async, packing_slips_pdf_async
from shipcrowd.identity import service as identity
from shipcrowd.kernel import audit, clock, tenancy
from shipcrowd.kernel.errors import Conflict, NotFound
from shipcrowd.kernel.jobs import Later
from shipcrowd.locations.schemas import PlaceDetails
from shipcrowd.orders import queries as orders
from shipcrowd.orders.models import OrderLine
from shipcrowd.pincodes.address import Address
from shipcrowd.shipping import places, settling
from shipcrowd.shipping.accounts import using
from shipcrowd.shipping.booking import ShipmentNotFound, receiver
from shipcrowd.shipping.models import Shipment, State

AT_ONCE = 500


class ReceiverForgotten(Conflict):
    """The receiver's data was removed; nothing can be printed for this shipment any more."""


class NoLabelYet(Conflict):
    """There is nothing to stick on the parcel yet: it has no AWB, or its courier's own label is not here."""


@dataclass(frozen=True)
class Sheet:
    """One shipment's label: the courier's stored PDF, or what ours says."""

    shipment_id: UUID
    number: str
    key: str | None
    ours: LabelData


def party(address: Address) -> Party:
    street = ", ".join(part for part in (address.company, address.line1, address.line2) if part)
    return Party(
        name=address.name,
        street=street,
        city=address.city,
        state=address.state,
        pincode=address.pincode,
        phone=address.mobile or address.phone or "",
    )


async def sheets(session: AsyncSession, shipment_ids: Sequence[UUID]) -> list[Sheet]:
    """What to print for these shipments, in the order given. Five queries, however many.

    Raises ShipmentNotFound when one is not the company's, ReceiverForgotten, and NoLabelYet when one has no AWB, or
    travels under its courier's own label and that is not here.
    """
    shipments = await _all(session, shipment_ids)
    if missing := [because for shipment in shipments if (because := why_none(shipment))]:
        raise NoLabelYet(missing[0] + (f" ({len(missing) - 1} more have none)" if len(missing) > 1 else ""))
    seller = await identity.company(session)
    homes = await places.many(session, {shipment.return_place_id for shipment in shipments})
    lines = await orders.lines_by_order(session, list({shipment.order_id for shipment in shipments}))
    units = await settling.units_of_many(session, shipment_ids)
    return [
        Sheet(
            shipment.id,
            shipment.number,
            shipment.label_key,
            label_data(
                shipment,
                homes[shipment.return_place_id],
                lines[shipment.order_id],
                units[shipment.id],
                seller.name,
                seller.gstin,
            ),
        )
        for shipment in shipments
    ]


def why_none(shipment: Shipment) -> str:
    """Why nothing can be printed for this shipment; blank where it can."""
    if shipment.awb is None or shipment.state == State.cancelled:
        return f"{shipment.number} is {shipment.state}"
    vendor = vendors.vendor(shipment.courier)
    if shipment.label_key is not None or not vendor.own_label:
        return ""
    if shipment.label_url is None:  # a person typed its AWB: nobody fetches a label for it
        return f"{vendor.name} gave no label for {shipment.number} here; print it there"
    return f"the label of {vendor.name} for {shipment.number} is not here yet; ask again in a few minutes"


async def _all(session: AsyncSession, shipment_ids: Sequence[UUID]) -> list[Shipment]:
    query = select(Shipment).where(Shipment.id.in_(list(shipment_ids)))
    by_id = {row.id: row for row in (await session.execute(query)).scalars()}
    if missing := [str(shipment_id) for shipment_id in shipment_ids if shipment_id not in by_id]:
        raise ShipmentNotFound(f"no shipment {missing[0]}")
    for row in by_id.values():
        if row.redacted_at is not None:
            raise ReceiverForgotten(f"the receiver of {row.number} is forgotten")
    return [by_id[shipment_id] for shipment_id in shipment_ids]


def label_data(
    shipment: Shipment,
    back: PlaceDetails,
    lines: Sequence[OrderLine],
    units: Mapping[UUID, int],
    seller_name: str,
    seller_gstin: str | None,
) -> LabelData:
    assert shipment.awb is not None
    return LabelData(
        awb=shipment.awb,
        courier=shipment.carrier,
        order_number=shipment.order_number,
        ordered_on=clock.ist(shipment.created_at).date(),
        ship_to=party(receiver(shipment)),
        return_to=party(back.address),
        seller_name=seller_name,
        weight_grams=shipment.weight_grams,
        length_mm=shipment.length_mm,
        breadth_mm=shipment.breadth_mm,
        height_mm=shipment.height_mm,
        value=shipment.declared_paise,
        lines=tuple(
            LabelLine(sku=line.sku or "", name=line.name, quantity=units[line.id])
            for line in lines
            if units.get(line.id)
        ),
        to_collect=shipment.to_collect_paise if shipment.payment == Payment.cod else None,
        routing_code=shipment.routing_code or "",
        seller_gstin=back.gstin or seller_gstin or "",
    )


async def printed(
    company_id: UUID, shipment_ids: Sequence[UUID], layout: Layout = Layout.thermal_4x6, *, actor: str
) -> bytes:
    """The labels of many shipments in one PDF, in the order given; every print is recorded.

    Raises ShipmentNotFound, ReceiverForgotten, NoLabelYet.
    """
    async with tenancy.acting_for(company_id) as session:
        found = await sheets(session, shipment_ids)
        for sheet in found:
            await audit.record(session, actor=actor, action="label.printed", subject=f"shipment:{sheet.shipment_id}")
        await session.execute(
            update(Shipment)
            .where(Shipment.id.in_(list(shipment_ids)))
            .values(labels_printed=Shipment.labels_printed + 1)
        )
    if all(sheet.key is None for sheet in found):
        return await labels_pdf_async([sheet.ours for sheet in found], layout, made_at=clock.now())
    pages = [await _page(sheet) for sheet in found]
    return await (merged_async(pages) if layout is Layout.thermal_4x6 else four_up_async(pages))


async def _page(sheet: Sheet) -> NamedPdf:
    if sheet.key is not None:
        return NamedPdf(sheet.number, await keeping.store().get(sheet.key))
    return NamedPdf(sheet.number, await labels_pdf_async([sheet.ours], made_at=clock.now()))


async def packing_slips(company_id: UUID, shipment_ids: Sequence[UUID], layout: SlipLayout = SlipLayout.a4) -> bytes:
    """Packing slips in the order given. Raises ShipmentNotFound, ReceiverForgotten."""
    async with tenancy.acting_for(company_id) as session:
        shipments = await _all(session, shipment_ids)
        seller = await identity.company(session)
        lines = await orders.lines_by_order(session, list({shipment.order_id for shipment in shipments}))
        units = await settling.units_of_many(session, shipment_ids)
        slips = [
            PackingSlipData(
                order_number=shipment.order_number,
                ordered_on=clock.ist(shipment.created_at).date(),
                ship_to=party(receiver(shipment)),
                seller_name=seller.name,
                lines=tuple(
                    PackingSlipLine(sku=line.sku or "", name=line.name, quantity=units[shipment.id][line.id])
                    for line in lines[shipment.order_id]
                    if units[shipment.id].get(line.id)
                ),
                seller_gstin=seller.gstin or "",
                awb=shipment.awb or "",
                courier=shipment.carrier,
                to_collect=shipment.to_collect_paise if shipment.payment == Payment.cod else None,
            )
            for shipment in shipments
        ]
    return await packing_slips_pdf_async(slips, layout, made_at=clock.now())


async def fetch(company_id: UUID, shipment_id: UUID, *, good_until: datetime | None = None) -> None:
    """Store the courier's own label, untouched: load, call, record. Nothing to do where it is there already, and, for
    a courier whose labels end, good for longer than until `good_until`. Raises Later while the courier makes it."""
    async with tenancy.acting_for(company_id) as session:
        shipment = await session.get(Shipment, (company_id, shipment_id))
        if shipment is None:
            raise NotFound
        forgotten = shipment.redacted_at is not None
        held = shipment.label_key is not None
        ending = good_until is not None and shipment.label_until is not None and shipment.label_until <= good_until
        if not forgotten and ((held and not ending) or not shipment.label_url):
            return
        opening = (shipment.courier, shipment.account_company_id, shipment.account_id)
        url = shipment.label_url
    key = key_of(company_id, shipment_id)
    if forgotten or url is None:
        await keeping.store().delete(key)  # a try of ours may have stored it and stopped before it said so
        return
    async with using(*opening) as courier:
        if not isinstance(courier, FetchesLabels):
            return
        pdf = await courier.fetch_label(url)
    if isinstance(pdf, LabelUnderWay):
        async with tenancy.acting_for(company_id) as session:
            known = update(Shipment).where(Shipment.id == shipment_id, Shipment.redacted_at.is_(None))
            await session.execute(known.values(label_url=pdf.url))
        raise Later(timedelta(seconds=pdf.seconds))
    await keeping.store().put(key, pdf, "application/pdf")
    async with tenancy.acting_for(company_id) as session:
        hours = vendors.vendor(opening[0]).label_hours
        until = clock.now() + timedelta(hours=hours) if hours else None
        known = update(Shipment).where(Shipment.id == shipment_id, Shipment.redacted_at.is_(None))
        kept = known.values(label_key=key, label_until=until).returning(Shipment.id)
        stays = (await session.execute(kept)).scalar_one_or_none()
    if stays is None:  # the receiver was forgotten meanwhile
        await keeping.store().delete(key)


def key_of(company_id: UUID, shipment_id: UUID) -> str:
    """Where a shipment's label lies in the store."""
    return f"{company_id}/labels/{shipment_id}.pdf"
