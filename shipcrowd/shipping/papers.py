"""Papers of a parcel that its courier makes besides the label (`CourierVendor.papers`): a marketplace's invoice to the
buyer, the label without it, the forms a state wants.

The invoice is fetched with the label and kept as long as it: sellers keep books by it. The others are asked for when a
person wants them, and nothing of them is kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import update

from shipcrowd.couriers import vendors
from shipcrowd.couriers.contract import FilledForm, GivesPapers, Paper, TakesForms
from shipcrowd.documents import keeping
from shipcrowd.kernel import audit, tenancy
from shipcrowd.kernel.errors import Conflict, NotFound
from shipcrowd.orders import service as orders
from shipcrowd.shipping import queries
from shipcrowd.shipping.accounts import using
from shipcrowd.shipping.labels import ReceiverForgotten
from shipcrowd.shipping.models import Shipment


class NoSuchPaper(NotFound):
    """The courier of this parcel makes no such paper."""


class NoPaperYet(Conflict):
    """A parcel without an AWB has no papers."""


class NoFormsWanted(Conflict):
    """The courier of this parcel asks for no forms."""


@dataclass(frozen=True)
class _Asked:
    """Whom to ask, and for what: the account the parcel is booked with, and its id there."""

    account: tuple[str, UUID, UUID]
    shipment: str
    invoice_key: str | None
    forgotten: bool


def kinds_of(shipment: Shipment) -> Sequence[Paper]:
    """The papers there may be of this parcel, besides the label."""
    known = {vendor.slug: vendor.papers for vendor in vendors.vendors()}
    if shipment.redacted_at is not None:
        return ()
    made = known.get(shipment.courier, frozenset())
    return [kind for kind in Paper if kind in made and (shipment.awb is not None or kind is Paper.forms)]


async def got(company_id: UUID, shipment_id: UUID, kind: Paper, *, actor: str) -> bytes:
    """One paper of a parcel, as its courier made it; that it was printed is recorded.

    Raises ShipmentNotFound, NoSuchPaper, NoPaperYet, ReceiverForgotten, NoCourierAccount and the outside failures.
    """
    asked = await _asked(company_id, shipment_id, kind)
    if asked.forgotten:
        raise ReceiverForgotten("its papers went with the receiver")
    if kind is Paper.invoice:
        await fetch_invoice(company_id, shipment_id)
        paper = await keeping.store().get(invoice_key_of(company_id, shipment_id))
    else:
        paper = await _ask(asked, kind)
    async with tenancy.acting_for(company_id) as session:
        await audit.record(session, actor=actor, action=f"{kind.value}.printed", subject=f"shipment:{shipment_id}")
    return paper


async def fetch_invoice(company_id: UUID, shipment_id: UUID) -> None:
    """Keep the invoice the courier made: load, call, record. Nothing to do where it is there already."""
    asked = await _asked(company_id, shipment_id, Paper.invoice)
    key = invoice_key_of(company_id, shipment_id)
    if asked.forgotten:
        await keeping.store().delete(key)  # a try of ours may have stored it and stopped before it said so
        return
    if asked.invoice_key is not None:
        return
    await keeping.store().put(key, await _ask(asked, Paper.invoice), "application/pdf")
    async with tenancy.acting_for(company_id) as session:
        known = update(Shipment).where(Shipment.id == shipment_id, Shipment.redacted_at.is_(None))
        stays = await session.scalar(known.values(invoice_key=key).returning(Shipment.id))
    if stays is None:  # the receiver was forgotten meanwhile
        await keeping.store().delete(key)


async def forms_done(company_id: UUID, shipment_id: UUID, filled: Sequence[FilledForm], *, actor: str) -> None:
    """Tell the courier that a state's forms were filled in; what was refused for want of them can be booked again.

    Raises ShipmentNotFound, NoSuchPaper, NoFormsWanted, ReceiverForgotten, NoCourierAccount and the outside failures.
    """
    asked = await _asked(company_id, shipment_id, Paper.forms)
    if asked.forgotten:
        raise ReceiverForgotten("its papers went with the receiver")
    async with using(*asked.account) as courier:
        if not isinstance(courier, TakesForms):
            raise NoFormsWanted
        await courier.forms_done(asked.shipment, filled)
    words = ", ".join(f"{form.name}: {form.number}" for form in filled)
    async with tenancy.acting_for(company_id) as session:
        shipment = await queries.got(session, shipment_id)
        order = await orders.locked(session, shipment.order_id)
        details = {"shipment_id": str(shipment_id)}
        orders.tell(session, order, "forms_told", f"The forms were filled in: {words}", actor=actor, details=details)


async def _asked(company_id: UUID, shipment_id: UUID, kind: Paper) -> _Asked:
    async with tenancy.acting_for(company_id) as session:
        shipment = await queries.got(session, shipment_id)
        if kind not in vendors.vendor(shipment.courier).papers:
            raise NoSuchPaper(f"{shipment.carrier} gives no {kind.value.replace('-', ' ')}")
        if shipment.awb is None and kind is not Paper.forms:
            raise NoPaperYet(f"{shipment.number} is {shipment.state}")
        order = await orders.got(session, shipment.order_id)
        return _Asked(
            (shipment.courier, shipment.account_company_id, shipment.account_id),
            shipment.courier_shipment_id or order.external_id or "",
            shipment.invoice_key,
            shipment.redacted_at is not None,
        )


async def _ask(asked: _Asked, kind: Paper) -> bytes:
    async with using(*asked.account) as courier:
        if not isinstance(courier, GivesPapers):
            raise NoSuchPaper
        return await courier.paper(kind, asked.shipment)


def invoice_key_of(company_id: UUID, shipment_id: UUID) -> str:
    """Where a shipment's invoice lies in the store."""
    return f"{company_id}/invoices/{shipment_id}.pdf"
