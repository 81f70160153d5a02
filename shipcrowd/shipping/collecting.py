"""What couriers that keep the list themselves say of a manifest's parcels: how many wait where, the code their driver
is to be told, and the list he signs. Asked when a person wants it; nothing of it is kept."""

from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

from shipcrowd.couriers import vendors
from shipcrowd.couriers.contract import HandOver, HandsOver
from shipcrowd.documents.merge import NamedPdf, merged_async
from shipcrowd.kernel import tenancy
from shipcrowd.kernel.errors import Conflict
from shipcrowd.shipping import manifests
from shipcrowd.shipping.accounts import using

Account = tuple[str, UUID, UUID]


class NoListOfTheCourier(Conflict):
    """This courier keeps no list of its own; print ours."""


class NothingWaits(Conflict):
    """Nothing waits for the courier there. Close the manifest, which tells it that the parcels are ready."""


async def hand_overs(company_id: UUID, manifest_id: UUID) -> Sequence[HandOver]:
    """What waits where the parcels of a manifest are. Asks the courier. Raises ManifestNotFound, NoListOfTheCourier,
    NoCourierAccount and the outside failures."""
    found: list[HandOver] = []
    for account, parcels in (await _parcels(company_id, manifest_id)).items():
        async with _keeps_a_list(account) as courier:
            found += await courier.hand_overs(parcels)
    return found


async def paper(company_id: UUID, manifest_id: UUID) -> bytes:
    """The courier's own list of what waits, every place and carrier in one PDF. Raises as `hand_overs`, and
    NothingWaits."""
    pages: list[NamedPdf] = []
    for account, parcels in (await _parcels(company_id, manifest_id)).items():
        async with _keeps_a_list(account) as courier:
            waiting = [each for each in await courier.hand_overs(parcels) if each.parcels]
            pages += [NamedPdf(f"{each.carrier} at {each.place}", await courier.manifest_pdf(each)) for each in waiting]
    if not pages:
        raise NothingWaits
    return await merged_async(pages)


async def _parcels(company_id: UUID, manifest_id: UUID) -> Mapping[Account, Sequence[str]]:
    """Account → the courier's ids of the manifest's parcels booked with it."""
    found: dict[Account, list[str]] = defaultdict(list)
    async with tenancy.acting_for(company_id) as session:
        manifest = await manifests.got(session, manifest_id)
        for shipment in await manifests.shipments_of(session, manifest_id):
            if shipment.courier_shipment_id is not None:
                account = (shipment.courier, shipment.account_company_id, shipment.account_id)
                found[account].append(shipment.courier_shipment_id)
    if not vendors.vendor(manifest.courier).keeps_list:
        raise NoListOfTheCourier
    return found


@asynccontextmanager
async def _keeps_a_list(account: Account) -> AsyncGenerator[HandsOver]:
    async with using(*account) as courier:
        if not isinstance(courier, HandsOver):
            raise NoListOfTheCourier
        yield courier
