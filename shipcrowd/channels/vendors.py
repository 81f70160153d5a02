"""Which sales channels exist. The table itself stands in `wiring`; this is where modules below it look."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from shipcrowd.channels.contract import ChannelVendor
from shipcrowd.kernel.errors import NotFound


class UnknownChannel(NotFound):
    """There is no sales channel of that name."""


class _Vendors:
    known: ClassVar[Mapping[str, ChannelVendor]] = {}


def use(vendors: Sequence[ChannelVendor]) -> None:
    """Set the sales channels of this process, once, from `wiring`."""
    _Vendors.known = {vendor.slug: vendor for vendor in vendors}


def vendors() -> Sequence[ChannelVendor]:
    return tuple(_Vendors.known.values())


def vendor(slug: str) -> ChannelVendor:
    """Raises UnknownChannel."""
    if slug not in _Vendors.known:
        raise UnknownChannel(f"known channels: {', '.join(sorted(_Vendors.known))}", field="platform")
    return _Vendors.known[slug]
