"""Easy Ship: orders sold at Amazon that Amazon's own courier carries. Scheduling a hand-over is the booking.

An order has one package, so nothing is scheduled twice: whether there is one is looked at first each time, and again
where an answer was lost. Source: Easy Ship 2022-03-23.
"""

from collections.abc import Mapping, Sequence, Set
from datetime import datetime

import structlog

from shipcrowd.channels.contract import StoreAccount
from shipcrowd.couriers.contract import (
    Booking,
    BookingRequest,
    CancelResult,
    LabelUnderWay,
    Parcel,
    Progress,
    Scan,
    ServiceOffer,
    TrackingReply,
)
from shipcrowd.integrations.amazon import easy_ship_labels, words
from shipcrowd.integrations.amazon.client import AmazonClient
from shipcrowd.integrations.amazon.mapping import moment
from shipcrowd.integrations.amazon.operations import CREATE_PACKAGE, GET_PACKAGE, LIST_SLOTS
from shipcrowd.integrations.amazon.orders import raw_order
from shipcrowd.integrations.amazon.raw import entries, objects, reading, text, within
from shipcrowd.integrations.amazon.refusals import NotDone
from shipcrowd.kernel import clock
from shipcrowd.kernel.outbound import Json, Malformed, Refused, Unavailable

log = structlog.get_logger(__name__)

SERVICE = ServiceOffer(service="easy_ship", name="Amazon Easy Ship", carrier="Amazon")
TRACKING_BATCH = 20
LEAST_GRAMS = 11
LATER_SECONDS = 20.0

SLOT_GONE = frozenset(
    {"ScheduleWindowExpired", "TimeSlotNotAvailable", "RetryableAfterGettingNewSlots", "InvalidTimeSlotId"}
)
"""Refusals after which other slots are asked for."""
SCHEDULED = frozenset({"ScheduledPackageAlreadyExists"})
NO_PACKAGE = frozenset({"ResourceNotFound"})
LABEL_GONE = "LabelCanceled"

PROGRESS: Mapping[str, Progress] = {
    "Scheduled": Progress.pickup_pending,  # an older word
    "ReadyForPickup": Progress.pickup_pending,
    "PickedUp": Progress.picked_up,
    "AtOriginFC": Progress.in_transit,
    "AtDestinationFC": Progress.in_transit,
    "OutForDelivery": Progress.out_for_delivery,
    "Delivered": Progress.delivered,
    "Rejected": Progress.rto_initiated,
    "Undeliverable": Progress.rto_initiated,
    "ReturnedToSeller": Progress.rto_delivered,
    "LostInTransit": Progress.lost,
    "DamagedInTransit": Progress.damaged,
    LABEL_GONE: Progress.cancelled,
}
"""Package status → ours. What the buyer rejects comes back by itself: a seller has no say in it."""


class EasyShip:
    """Easy Ship orders of one connected store. See `couriers.contract` for what each method promises."""

    def __init__(self, account: StoreAccount) -> None:
        self._client = AmazonClient(account)

    async def offers(self, parcel: Parcel) -> Sequence[ServiceOffer]:
        """Amazon carries whatever it sold this way, and charges in its settlements."""
        return (SERVICE,)

    async def book(self, request: BookingRequest) -> Booking:
        """Schedule the hand-over in the first slot there is, unless it is scheduled. Until it is, nothing here leaves
        anything open: whoever comes again looks first."""
        order_id = request.order_external_id
        if not order_id:
            raise Refused("not_amazon", "Easy Ship carries orders sold on Amazon only.")
        try:
            package = await self._package(order_id)
            if package is None:
                _may_be_scheduled(await raw_order(self._client, order_id), request)
                package = await self._scheduled(order_id, request)
            return _booking(order_id, package)
        except Malformed as failure:
            raise Unavailable(str(failure)) from failure

    async def cancel(self, awbs: Sequence[str]) -> Sequence[CancelResult]:
        return [CancelResult(awb, accepted=False, message=_CANCEL_THERE) for awb in awbs]

    async def cancel_shipments(self, shipments: Mapping[str, str]) -> Sequence[CancelResult]:
        """Amazon cancels a package with its order only. One whose order was cancelled is let go here too."""
        return [await self._let_go(awb, order_id) for awb, order_id in shipments.items()]

    async def scans(self, awbs: Sequence[str]) -> Mapping[str, TrackingReply]:
        return {awb: TrackingReply(awb, error="Amazon is asked by order, not by tracking number.") for awb in awbs}

    async def scans_of(self, shipments: Mapping[str, str]) -> Mapping[str, TrackingReply]:
        """Amazon shows what a package's status is, not since when: one scan each."""
        return {awb: await self._reply(awb, order_id) for awb, order_id in shipments.items()}

    async def fetch_label(self, url: str) -> bytes | LabelUnderWay:
        """One step of the label's way (see `easy_ship_labels`); the PDF at its end."""
        return await easy_ship_labels.step(self._client, url)

    async def _scheduled(self, order_id: str, request: BookingRequest) -> dict[str, Json]:
        slot = await self._slot(order_id, request)
        try:
            return await self._schedule(order_id, slot)
        except NotDone as refusal:
            if not _says(refusal, SLOT_GONE):
                raise
        return await self._schedule(order_id, await self._slot(order_id, request))

    async def _schedule(self, order_id: str, slot: Mapping[str, Json]) -> dict[str, Json]:
        place = (await self._client.credentials()).place.id
        body: dict[str, Json] = {
            "amazonOrderId": order_id,
            "marketplaceId": place,
            "packageDetails": {"packageTimeSlot": dict(slot)},
        }
        try:
            return await self._client.call(CREATE_PACKAGE, body=body)
        except NotDone as refusal:
            if not _says(refusal, SCHEDULED) or (found := await self._package(order_id)) is None:
                raise
            return found
        except Unavailable as failure:
            found = await self._package(order_id) if failure.maybe_received else None
            if found is None:
                # Heard or not, the next try looks first.
                raise Unavailable(str(failure), retry_after=failure.retry_after) from failure
            log.info("amazon_package_found", order=order_id)
            return found

    async def _slot(self, order_id: str, request: BookingRequest) -> dict[str, Json]:
        """The first slot, one in which Amazon comes to fetch the package before one in which it is to be brought."""
        answer = await self._client.call(
            LIST_SLOTS,
            body={
                "marketplaceId": (await self._client.credentials()).place.id,
                "amazonOrderId": order_id,
                "packageDimensions": {
                    "length": request.length_mm / 10,
                    "width": request.breadth_mm / 10,
                    "height": request.height_mm / 10,
                    "unit": "cm",
                },
                "packageWeight": {"value": max(request.weight_grams, LEAST_GRAMS), "unit": "g"},
            },
        )
        with reading("slots", answer):
            slots = [slot for slot in objects(answer.get("timeSlots")) if text(slot.get("slotId"))]
        if not slots:
            raise Refused("no_slot", "Amazon has no hand-over slot for this package; try again tomorrow.")
        return min(slots, key=_preferred)

    async def _package(self, order_id: str) -> dict[str, Json] | None:
        """The order's package; None where there is none, or its label was cancelled."""
        try:
            package = await self._client.call(GET_PACKAGE, query=await self._of(order_id))
        except NotDone as refusal:
            if not _says(refusal, NO_PACKAGE):
                raise
            return None
        return None if text(package.get("packageStatus")) == LABEL_GONE else package

    async def _reply(self, awb: str, order_id: str) -> TrackingReply:
        """One that Amazon does not know, or tells of unreadably, keeps no other from being told of."""
        try:
            package = await self._client.call(GET_PACKAGE, query=await self._of(order_id))
            status = text(package.get("packageStatus"))
        except NotDone as refusal:
            if refusal.status in (401, 403):
                raise
            return TrackingReply(awb, error=refusal.message)
        except Malformed as failure:
            log.warning("amazon_tracking_unreadable", order=order_id, error=str(failure))
            return TrackingReply(awb, error="Amazon's package could not be read.")
        if not status:
            return TrackingReply(awb, error="Amazon does not say where the package is.")
        scan = Scan(clock.now(), status, PROGRESS.get(status), seen=True)
        return TrackingReply(awb, (scan,), courier_order_id=order_id)

    async def _let_go(self, awb: str, order_id: str) -> CancelResult:
        order = await raw_order(self._client, order_id)
        if text(within(order, "fulfillment").get("fulfillmentStatus")) in ("CANCELLED", "CANCELED"):
            return CancelResult(awb, accepted=True)
        if await self._package(order_id) is None:
            return CancelResult(awb, accepted=True)
        return CancelResult(awb, accepted=False, message=_CANCEL_THERE)

    async def _of(self, order_id: str) -> dict[str, str]:
        return {"amazonOrderId": order_id, "marketplaceId": (await self._client.credentials()).place.id}


_CANCEL_THERE = "Amazon cancels an Easy Ship package with its order only: cancel the order in Seller Central."


def _says(refusal: NotDone, codes: Set[str]) -> bool:
    """Whether Amazon gave one of these codes, with whatever status: its pages say 404 where its answers have 400."""
    return any(fault.code in codes for fault in refusal.faults)


def _preferred(slot: Mapping[str, Json]) -> tuple[bool, datetime]:
    starts = moment(slot.get("startTime"))
    return text(slot.get("handoverMethod")) == "DROPOFF", starts or datetime.max.replace(tzinfo=clock.now().tzinfo)


def _may_be_scheduled(order: Mapping[str, Json], request: BookingRequest) -> None:
    """Raises Refused where it must not be: Amazon schedules an order whole."""
    with reading("order", dict(order)):
        programs = {text(program) for program in entries(order.get("programs"))}
        wanted = sum(line.units for line in request.lines)
        open_units = sum(_open_units(item) for item in objects(order.get("orderItems")))
    if not words.AMAZON_CARRIES & programs:
        raise Refused("not_easy_ship", "Amazon's own courier does not carry this order.")
    if wanted != open_units:
        raise Refused("whole_order", f"Easy Ship takes an order whole: {open_units} units, not {wanted}.")


def _open_units(item: Mapping[str, Json]) -> int:
    left = within(item, "fulfillment").get("quantityUnfulfilled")
    return int(item["quantityOrdered"] if left is None else left)


def _booking(order_id: str, package: Mapping[str, Json]) -> Booking:
    awb = text(within(package, "trackingDetails").get("trackingId"))
    if not awb:
        raise Unavailable("Amazon has not given the package its tracking number yet", retry_after=LATER_SECONDS)
    starts = moment(within(package, "packageTimeSlot").get("startTime"))
    return Booking(
        awb=awb,
        carrier=SERVICE.carrier,
        courier_order_id=order_id,
        courier_shipment_id=order_id,  # what a package is asked for by
        label_url=easy_ship_labels.wanted(order_id),
        pickup_date=clock.ist(starts).date() if starts else None,
    )
