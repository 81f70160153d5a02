"""Manifests: the list a pickup is signed against. Open → closed → handed over; one courier, one place."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.couriers import vendors
from shipcrowd.couriers.contract import Payment
from shipcrowd.documents.papers import ManifestData, ManifestRow
from shipcrowd.documents.render import manifest_pdf_async
from shipcrowd.identity import service as identity
from shipcrowd.kernel import clock, counters, events, pages, tenancy
from shipcrowd.kernel.errors import Conflict, Invalid, NotFound
from shipcrowd.kernel.money import Money
from shipcrowd.shipping import places
from shipcrowd.shipping.booking import ShipmentNotFound
from shipcrowd.shipping.events import ParcelsReady
from shipcrowd.shipping.labels import party
from shipcrowd.shipping.models import Manifest, Shipment, State

MOST = 1000
READY = (State.pickup_pending, State.pickup_failed)


class ManifestNotFound(NotFound):
    """There is no such manifest."""


class ManifestClosed(Conflict):
    """The manifest is closed; its list does not change any more."""


class NotForManifest(Invalid):
    """This shipment cannot be on the manifest."""


class ManifestEmpty(Invalid):
    """A manifest without shipments cannot be closed."""


async def create(session: AsyncSession, shipment_ids: Sequence[UUID]) -> Manifest:
    """Open a manifest of these shipments. Raises ShipmentNotFound, NotForManifest."""
    shipments = await _locked_shipments(session, shipment_ids)
    first = shipments[0]
    manifest = Manifest(
        company_id=tenancy.company_of(session),
        number=await counters.number(session, "MAN"),
        state="open",
        courier=first.courier,
        carrier=first.carrier,
        place_id=first.place_id,
    )
    session.add(manifest)
    await session.flush()
    _put_on(manifest, shipments)
    await _recount(session, manifest)
    return manifest


async def add(session: AsyncSession, manifest_id: UUID, shipment_ids: Sequence[UUID]) -> Manifest:
    """Raises ManifestNotFound, ManifestClosed, ShipmentNotFound, NotForManifest."""
    manifest = await _open(session, manifest_id)  # a manifest is locked before its shipments, here as in `remove`
    shipments = await _locked_shipments(session, shipment_ids)
    _put_on(manifest, shipments)
    await _recount(session, manifest)
    return manifest


async def remove(session: AsyncSession, manifest_id: UUID, shipment_ids: Sequence[UUID]) -> Manifest:
    """Raises ManifestNotFound, ManifestClosed."""
    manifest = await _open(session, manifest_id)
    await session.execute(
        update(Shipment)
        .where(Shipment.id.in_(list(shipment_ids)), Shipment.manifest_id == manifest_id)
        .values(manifest_id=None)
    )
    await _recount(session, manifest)
    return manifest


async def close(session: AsyncSession, manifest_id: UUID) -> Manifest:
    """Raises ManifestNotFound, ManifestClosed, ManifestEmpty."""
    manifest = await _open(session, manifest_id)
    # Locked: a parcel that is being cancelled leaves before the count, or stays on the paper.
    on_it = select(Shipment.id).where(Shipment.manifest_id == manifest_id).order_by(Shipment.id).with_for_update()
    await session.execute(on_it)
    await _recount(session, manifest)
    if not manifest.parcels:
        raise ManifestEmpty
    manifest.state, manifest.closed_at = "closed", clock.now()
    await events.publish(session, ParcelsReady(manifest.company_id, manifest.id))
    return manifest


async def hand_over(session: AsyncSession, manifest_id: UUID, *, to: str) -> Manifest:
    """The courier's driver took the parcels. Tracking, not this, moves the shipments. Raises ManifestNotFound."""
    manifest = await _locked(session, manifest_id)
    if manifest.state == "handed_over":
        return manifest
    if manifest.state != "closed":
        raise Conflict("close the manifest before handing it over")
    manifest.state, manifest.handed_over_at, manifest.handed_over_to = "handed_over", clock.now(), to
    return manifest


async def got(session: AsyncSession, manifest_id: UUID) -> Manifest:
    """Raises ManifestNotFound."""
    manifest = await session.get(Manifest, (tenancy.company_of(session), manifest_id))
    if manifest is None:
        raise ManifestNotFound
    return manifest


async def shipments_of(session: AsyncSession, manifest_id: UUID) -> Sequence[Shipment]:
    """What is on a manifest, as paper and screen list it: each carrier's parcels together, by number."""
    query = select(Shipment).where(Shipment.manifest_id == manifest_id).order_by(Shipment.carrier, Shipment.number)
    return (await session.execute(query)).scalars().all()


async def page_of(session: AsyncSession, *, after: str | None, limit: int) -> tuple[Sequence[Manifest], str | None]:
    query = select(Manifest).order_by(Manifest.created_at.desc(), Manifest.id.desc()).limit(limit + 1)
    if after:
        query = query.where(pages.older_than(Manifest.created_at, Manifest.id, after))
    rows = (await session.execute(query)).scalars().all()
    return pages.page(rows, limit, lambda row: (row.created_at, row.id))


async def pdf(company_id: UUID, manifest_id: UUID) -> bytes:
    """The manifest on A4. Raises ManifestNotFound, ManifestEmpty."""
    async with tenancy.acting_for(company_id) as session:
        manifest = await got(session, manifest_id)
        shipments = await shipments_of(session, manifest_id)
        if not shipments:
            raise ManifestEmpty
        place = (await places.many(session, {manifest.place_id}))[manifest.place_id]
        seller = await identity.company(session)
        data = ManifestData(
            number=manifest.number,
            carrier=manifest.carrier,
            on=clock.ist(manifest.created_at).date(),
            seller_name=seller.name,
            pickup=party(place.address),
            rows=tuple(
                ManifestRow(
                    awb=shipment.awb or "",
                    order_number=shipment.order_number,
                    pincode=shipment.pincode,
                    weight_grams=shipment.weight_grams,
                    to_collect=shipment.to_collect_paise if shipment.payment == Payment.cod else None,
                    carrier=shipment.carrier,
                )
                for shipment in shipments
            ),
        )
    return await manifest_pdf_async(data, made_at=manifest.created_at)


async def _locked_shipments(session: AsyncSession, shipment_ids: Sequence[UUID]) -> Sequence[Shipment]:
    wanted = sorted(set(shipment_ids))
    if not 1 <= len(wanted) <= MOST:
        raise Invalid(f"a manifest has 1 to {MOST} shipments", field="shipment_ids")
    query = select(Shipment).where(Shipment.id.in_(wanted)).order_by(Shipment.id).with_for_update()
    found = (await session.execute(query)).scalars().all()
    if len(found) < len(wanted):
        raise ShipmentNotFound
    return found


def _put_on(manifest: Manifest, shipments: Sequence[Shipment]) -> None:
    for shipment in shipments:
        if shipment.awb is None or shipment.state not in READY:
            raise NotForManifest(f"{shipment.number} is {shipment.state}", field="shipment_ids")
        if shipment.manifest_id not in (None, manifest.id):
            raise NotForManifest(f"{shipment.number} is on another manifest", field="shipment_ids")
        if (shipment.courier, shipment.place_id) != (manifest.courier, manifest.place_id):
            raise NotForManifest(
                f"{shipment.number} is of another courier or pickup address; make a manifest of its own",
                field="shipment_ids",
            )
        shipment.manifest_id = manifest.id


async def _recount(session: AsyncSession, manifest: Manifest) -> None:
    await session.flush()
    shipments = await shipments_of(session, manifest.id)
    carriers = {shipment.carrier for shipment in shipments}
    if carriers:
        manifest.carrier = carriers.pop() if len(carriers) == 1 else vendors.vendor(manifest.courier).name
    manifest.parcels = len(shipments)
    manifest.weight_grams = sum(shipment.weight_grams for shipment in shipments)
    manifest.to_collect_paise = Money.total(shipment.to_collect_paise for shipment in shipments)


async def _locked(session: AsyncSession, manifest_id: UUID) -> Manifest:
    query = select(Manifest).where(Manifest.id == manifest_id).with_for_update()
    manifest = (await session.execute(query)).scalar_one_or_none()
    if manifest is None:
        raise ManifestNotFound
    return manifest


async def _open(session: AsyncSession, manifest_id: UUID) -> Manifest:
    manifest = await _locked(session, manifest_id)
    if manifest.state != "open":
        raise ManifestClosed(f"{manifest.number} is {manifest.state.replace('_', ' ')}")
    return manifest
