"""A courier that does what a test tells it to, behind the same contract as the real ones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

from pydantic import BaseModel

from shipcrowd.connections import service as connections
from shipcrowd.connections.models import Kind
from shipcrowd.couriers import vendors
from shipcrowd.couriers.contract import (
    Booking,
    BookingRequest,
    CancelResult,
    CourierAccount,
    CourierVendor,
    Mode,
    Parcel,
    PickupPoint,
    Progress,
    Scan,
    ServiceOffer,
    TrackingReply,
)
from shipcrowd.kernel import tenancy
from shipcrowd.kernel.money import Money

_numbers = count(1)
START = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)


class NoCredentials(BaseModel):
    user: str = "test"


@dataclass
class Scripted:
    """What the far side does; a test changes it and reads what it was asked."""

    asked: list[BookingRequest] = field(default_factory=list)
    registered: list[PickupPoint] = field(default_factory=list)
    parcels: dict[str, list[str]] = field(default_factory=dict)
    """our reference → AWBs made for it: more than one is a double booking"""
    before_booking: Callable[[BookingRequest], None] = lambda request: None
    after_booking: Callable[[BookingRequest], None] = lambda request: None
    serviceable: Callable[[Parcel], bool] = lambda parcel: True
    before_scans: Callable[[Sequence[str]], None] = lambda awbs: None
    tracking: dict[str, TrackingReply] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    cancel_words: str | None = None

    def scan(self, awb: str, *progress: Progress, start: datetime = START) -> None:
        old = self.tracking.get(awb, TrackingReply(awb))
        at = start + timedelta(hours=len(old.scans))
        fresh = tuple(
            Scan(at=at + timedelta(hours=n), status=step.upper(), progress=step, location="Hub")
            for n, step in enumerate(progress)
        )
        self.tracking[awb] = TrackingReply(awb, old.scans + fresh)


class ScriptedCourier:
    def __init__(self, script: Scripted) -> None:
        self.script = script

    async def offers(self, parcel: Parcel) -> Sequence[ServiceOffer]:
        if not self.script.serviceable(parcel):
            return []
        return [
            ServiceOffer("slow", "Surface", "Slowpoke", min_days=4, max_days=7),
            ServiceOffer("quick", "Air", "Falcon", mode=Mode.air, min_days=1, max_days=2),
        ]

    async def book(self, request: BookingRequest) -> Booking:
        self.script.asked.append(request)
        self.script.before_booking(request)
        awb = f"T{next(_numbers):09d}"
        self.script.parcels.setdefault(request.reference, []).append(awb)
        self.script.after_booking(request)
        return Booking(awb=awb, carrier="Slowpoke", routing_code="DEL/BLR", charged=Money.rupees("31.50"))

    async def cancel(self, awbs: Sequence[str]) -> Sequence[CancelResult]:
        self.script.cancelled += awbs
        return [CancelResult(awb, self.script.cancel_words is None, self.script.cancel_words or "") for awb in awbs]

    async def scans(self, awbs: Sequence[str]) -> Mapping[str, TrackingReply]:
        self.script.before_scans(awbs)
        return {awb: self.script.tracking.get(awb, TrackingReply(awb, error="no such AWB")) for awb in awbs}

    async def register_pickup_point(self, point: PickupPoint) -> str:
        self.script.registered.append(point)
        return f"WH-{len(self.script.registered)}"


def vendor(
    script: Scripted, *, name: str = "Testing Couriers", acting: Callable[[Scripted], ScriptedCourier] = ScriptedCourier
) -> CourierVendor:
    def opened(account: CourierAccount) -> ScriptedCourier:
        return acting(script)

    return CourierVendor(slug="velocity", name=name, credentials=NoCredentials, open=opened, shared=True)


async def installed(
    *others: CourierVendor,
    name: str = "Testing Couriers",
    acting: Callable[[Scripted], ScriptedCourier] = ScriptedCourier,
) -> Scripted:
    """Put a scripted courier in the place of the platform's shared one; the script."""
    script = Scripted()
    vendors.use([vendor(script, name=name, acting=acting), *others])
    async with tenancy.acting_for(tenancy.PLATFORM_COMPANY) as session:
        await connections.connect(
            session,
            vendor="velocity",
            external_id="shared",
            name="Shared account",
            kind=Kind.courier,
            credentials=NoCredentials(),
        )
    return script
