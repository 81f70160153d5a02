"""Which couriers exist. The table itself stands in `wiring`; this is where modules below it look."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from shipcrowd.couriers.contract import CourierVendor
from shipcrowd.kernel.errors import NotFound


class UnknownCourier(NotFound):
    """There is no courier of that name."""


class _Vendors:
    known: ClassVar[Mapping[str, CourierVendor]] = {}


def use(vendors: Sequence[CourierVendor]) -> None:
    """Set the couriers of this process, once, from `wiring`."""
    _Vendors.known = {vendor.slug: vendor for vendor in vendors}


def vendors() -> Sequence[CourierVendor]:
    return tuple(_Vendors.known.values())


def vendor(slug: str) -> CourierVendor:
    """Raises UnknownCourier."""
    if slug not in _Vendors.known:
        raise UnknownCourier(f"known couriers: {', '.join(sorted(_Vendors.known))}", field="courier")
    return _Vendors.known[slug]
