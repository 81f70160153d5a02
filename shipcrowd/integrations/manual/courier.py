"""The seller's own courier: somebody else carries the parcel and the seller types the AWB. Calls nobody.

What was typed travels in `BookingRequest.service` as `"<carrier>|<AWB>"`, made by `typed` and read by `understood`:
the carrier is 2 to 40 characters without a bar, the AWB 5 to 40 of A-Z, 0-9 and hyphen.
"""

import re
from collections.abc import Mapping, Sequence

from shipcrowd.couriers.contract import (
    Booking,
    BookingRequest,
    CancelResult,
    CourierAccount,
    Parcel,
    ServiceOffer,
    TrackingReply,
)
from shipcrowd.kernel.outbound import Refused

GENERIC = ServiceOffer(service="manual", name="Own courier (type the AWB)", carrier="Own courier")
NOT_TRACKED = "not tracked"

AWB = re.compile(r"[A-Z0-9-]{5,40}")
CARRIER = re.compile(r"[^|\x00-\x1f]{2,40}")


def typed(carrier: str, awb: str) -> str:
    """The `service` that carries a typed AWB: `typed("Delhivery", "awb-12345")` → `"Delhivery|AWB-12345"`.

    Raises Refused("awb_required") where either is missing or not of its form.
    """
    return "|".join(understood(f"{carrier}|{awb}"))


def understood(service: str) -> tuple[str, str]:
    """`"Delhivery|AWB12345"` → (`"Delhivery"`, `"AWB12345"`). Raises Refused("awb_required") for anything else."""
    carrier, bar, awb = service.partition("|")
    carrier, awb = " ".join(carrier.split()), awb.strip().upper()
    if not bar or not awb:
        raise Refused("awb_required", "Type the courier's name and the AWB number it gave you.")
    if not CARRIER.fullmatch(carrier):
        raise Refused("awb_required", "Type the courier's name: 2 to 40 characters.")
    if not AWB.fullmatch(awb):
        raise Refused("awb_required", "An AWB number has 5 to 40 characters: letters, digits and hyphens.")
    return carrier, awb


class ManualCourier:
    """Implements `Courier` without an outside system."""

    def __init__(self, account: CourierAccount) -> None:
        """The account holds nothing to use: no credentials, no wire."""

    async def offers(self, parcel: Parcel) -> Sequence[ServiceOffer]:
        """One generic offer for every parcel: we cannot know where the seller's courier goes."""
        return (GENERIC,)

    async def book(self, request: BookingRequest) -> Booking:
        """The AWB the seller typed. Nothing is charged. Raises Refused("awb_required") without one."""
        carrier, awb = understood(request.service)
        return Booking(awb=awb, carrier=carrier)

    async def cancel(self, awbs: Sequence[str]) -> Sequence[CancelResult]:
        """Always accepted here; the seller settles it with the courier."""
        return [CancelResult(awb, accepted=True, message="Tell your courier as well.") for awb in awbs]

    async def scans(self, awbs: Sequence[str]) -> Mapping[str, TrackingReply]:
        """No scans: the seller sets the status by hand."""
        return {awb: TrackingReply(awb, error=NOT_TRACKED) for awb in awbs}
