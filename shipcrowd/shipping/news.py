"""Whose parcel is this? News from couriers names an AWB or our reference; this finds the company and the shipment."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from uuid import UUID

from sqlalchemy import and_, or_, select

from shipcrowd.couriers.contract import Pod, Scan
from shipcrowd.kernel import pace, tenancy
from shipcrowd.kernel.crypto import search_hash
from shipcrowd.kernel.errors import Conflict, TooMany
from shipcrowd.shipping import booking, tracking
from shipcrowd.shipping.models import Shipment, ShipmentRoute, State
from shipcrowd.shipping.tracking import Via


class TooManyLookups(TooMany):
    """Too many lookups from here; wait a minute."""


class SharedAwb(Conflict):
    """Parcels of more than one courier have this number."""


@dataclass(frozen=True)
class Whose:
    company_id: UUID
    shipment_id: UUID
    courier: str | None = None  # the slug of whom it was booked with, where it was found by AWB


async def by_awb(courier: str, awbs: Sequence[str], references: Sequence[str] = ()) -> Mapping[str, Whose]:
    """AWB or reference → whose parcel it is, in one query; those nobody booked here are missing."""
    async with tenancy.unowned() as session:
        query = select(ShipmentRoute).where(
            or_(
                and_(ShipmentRoute.kind == f"awb:{courier}", ShipmentRoute.key.in_(list(awbs))),
                and_(ShipmentRoute.kind == "reference", ShipmentRoute.key.in_(list(references))),
            )
        )
        return {
            route.key: Whose(route.company_id, route.shipment_id) for route in (await session.execute(query)).scalars()
        }


async def looked_up(awb: str, couriers: Sequence[str], *, address: str, named: str = "") -> Whose | None:
    """The parcel of this AWB at one of these couriers, for a stranger at `address`; where several have one, that of the
    courier that was `named`. AWBs can be guessed, so this is slow on purpose: twenty in a row, then one every three
    seconds. Raises TooManyLookups, SharedAwb."""
    # An address is personal data, so only its hash is kept.
    key = f"track:{search_hash(address, 'track.address').hex()}"
    async with tenancy.unowned() as session:
        wait = await pace.take(session, key, capacity=20, refill_per_second=20 / 60)
        if wait:  # raised inside the transaction: a refused lookup takes nothing
            raise TooManyLookups(retry_after=ceil(wait.total_seconds()))
        query = select(ShipmentRoute).where(
            ShipmentRoute.kind.in_([f"awb:{courier}" for courier in couriers]), ShipmentRoute.key == awb
        )
        found = (await session.execute(query.limit(len(couriers)))).scalars().all()
    found = [route for route in found if route.kind == f"awb:{named}"] or found
    if len(found) > 1:  # a guess would show somebody else's parcel
        raise SharedAwb("name the courier, or open the link you were sent", field="courier")
    if not found:
        return None
    return Whose(found[0].company_id, found[0].shipment_id, found[0].kind.removeprefix("awb:"))


async def by_link(link: str) -> Whose | None:
    """The parcel behind a buyer's tracking link."""
    async with tenancy.unowned() as session:
        key = hashlib.sha256(link.encode()).hexdigest()
        route = await session.get(ShipmentRoute, ("link", key))
        return Whose(route.company_id, route.shipment_id) if route else None


async def tell(
    courier: str,
    awb: str,
    scans: Sequence[Scan],
    *,
    via: Via,
    reference: str | None = None,
    pod: Pod | None = None,
    weight_grams: int | None = None,
    track_url: str | None = None,
    owner: UUID | None = None,
) -> bool:
    """Hand a courier's news of one AWB to the parcel it concerns; False when nobody here booked it.

    `owner` is whose account at the courier the news came to. It counts for parcels booked with that company's
    accounts alone: who holds one account's webhook secret must not move, or have refunded, the parcels of another.

    News under our own reference of a parcel that is still `unconfirmed` settles it: the parcel exists, and this is
    its AWB.
    """
    found = await by_awb(courier, [awb], [reference] if reference else [])
    whose = found.get(awb) or (found.get(reference) if reference else None)
    if whose is None:
        return False
    async with tenancy.acting_for(whose.company_id) as session:
        shipment = await session.get(Shipment, (whose.company_id, whose.shipment_id))
        if shipment is None or shipment.courier != courier:
            return False
        if owner is not None and shipment.account_company_id != owner:
            return False
        if shipment.awb is None:
            if shipment.state != State.unconfirmed:
                return False  # its booking is under way; the courier will repeat itself, and we poll besides
            await booking.settle_with_awb(session, shipment.id, awb=awb, actor="courier")
            await session.flush()
        elif shipment.awb != awb:
            return False
        await tracking.take_scans(
            session, shipment.id, scans, via=via, pod=pod, weight_grams=weight_grams, track_url=track_url
        )
    return True


async def courier_ids(courier: str, whose: Mapping[str, Whose]) -> dict[str, str]:
    """AWB → the courier's own id of the shipment, for couriers that are not asked by AWB."""
    companies: dict[UUID, list[str]] = defaultdict(list)
    for awb, found in whose.items():
        companies[found.company_id].append(awb)
    ids: dict[str, str] = {}
    for company_id, awbs in companies.items():
        async with tenancy.acting_for(company_id) as session:
            query = select(Shipment.awb, Shipment.courier_shipment_id).where(
                Shipment.courier == courier, Shipment.awb.in_(awbs), Shipment.courier_shipment_id.is_not(None)
            )
            ids |= {str(awb): str(known) for awb, known in await session.execute(query)}
    return ids
