"""Which couriers exist. The table itself stands in `wiring`; this is where modules below it look."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import ClassVar
from uuid import UUID

from shipcrowd.couriers.contract import Courier, CourierVendor
from shipcrowd.kernel.errors import NotFound


class UnknownCourier(NotFound):
    """There is no courier of that name."""


class _Vendors:
    known: ClassVar[Mapping[str, CourierVendor]] = {}
    at_store: ClassVar[Callable[[str, UUID, UUID], Awaitable[Courier]] | None] = None


def use(
    vendors: Sequence[CourierVendor], *, at_store: Callable[[str, UUID, UUID], Awaitable[Courier]] | None = None
) -> None:
    """Set the couriers of this process, once, from `wiring`. `at_store(slug, company_id, connection_id)` opens
    a courier by the store that is its account, which is for modules above."""
    _Vendors.known = {vendor.slug: vendor for vendor in vendors}
    _Vendors.at_store = at_store


async def open_at_store(slug: str, company_id: UUID, connection_id: UUID) -> Courier:
    """A courier of a marketplace, as the store that is connected there. Raises Disconnected."""
    if _Vendors.at_store is None:
        raise LookupError("no marketplace's courier is wired")
    return await _Vendors.at_store(slug, company_id, connection_id)


def vendors() -> Sequence[CourierVendor]:
    return tuple(_Vendors.known.values())


def vendor(slug: str) -> CourierVendor:
    """Raises UnknownCourier."""
    if slug not in _Vendors.known:
        known = sorted(each.slug for each in _Vendors.known.values() if each.channel is None)
        raise UnknownCourier(f"known couriers: {', '.join(known)}", field="courier")
    return _Vendors.known[slug]
