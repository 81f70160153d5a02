"""Velocity Shipfast as one of our couriers: client ∘ mapping, a few lines a method.

Velocity has no order lookup. A booking whose outcome is open is therefore never sent again from here: it surfaces
as `Unavailable(maybe_received=True)`, and tracking, a webhook or a person settles it.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime

import structlog

from shipcrowd.couriers.contract import (
    Booking,
    BookingRequest,
    CancelResult,
    CourierAccount,
    Flow,
    Parcel,
    PickupPoint,
    ServiceOffer,
    TrackingReply,
)
from shipcrowd.integrations.velocity import carriers, labels, mapping, reading, refusals, tracking
from shipcrowd.integrations.velocity.client import VelocityClient
from shipcrowd.integrations.velocity.credentials import DEFAULT_CHANNEL, VelocityCredentials
from shipcrowd.kernel import clock
from shipcrowd.kernel.outbound import Json, Malformed, Refused, Unavailable

log = structlog.get_logger(__name__)

CANCEL_BATCH = 50
TRACKING_BATCH = 50

ASSIGN_WAITS = (1.0, 4.0)  # seconds before asking again for an AWB that was certainly not assigned
ASSIGN_WAIT_AT_MOST = 10.0


class VelocityCourier:
    """One account. Settings: `base_url`; `booking` = `two_step` for accounts without the one-call endpoints;
    `label_hosts`, hosts that may serve labels besides Velocity's own (for tests)."""

    def __init__(self, account: CourierAccount) -> None:
        self._client = VelocityClient(account)
        self._two_step = account.settings.get("booking") == "two_step"
        self._label_hosts = labels.extra_hosts(account.settings.get("label_hosts", ""))
        if account.settings.get("base_url"):
            self._label_hosts |= {self._client.base_host}
        credentials = account.credentials
        self._channel_id = credentials.channel_id if isinstance(credentials, VelocityCredentials) else DEFAULT_CHANNEL

    async def check(self) -> None:
        """Sign in with the user name and password; raises Disconnected when they do not work."""
        await self._client.sign_in()

    async def offers(self, parcel: Parcel) -> Sequence[ServiceOffer]:
        """The carriers of the lane, best ranked first. Without `cost`: Velocity tells prices only on booking."""
        if not mapping.served(parcel):
            return ()
        try:
            return mapping.offers(await self._client.serviceability(mapping.lane(parcel)))
        except Refused as refusal:
            if mapping.unserved(refusal):
                return ()
            raise

    async def book(self, request: BookingRequest) -> Booking:
        """Book a forward parcel. `request.service` is a carrier id, or empty to let Velocity choose."""
        body = mapping.forward_order(request, self._channel_id)
        place = self._client.forward_order if self._two_step else self._client.forward
        carrier_id = carriers.current(request.service)

        def assign(placed: Mapping[str, Json]) -> Awaitable[Mapping[str, Json]]:
            return self._client.forward_shipment(reading.text(placed.get("shipment_id")), carrier_id)

        return await _book(lambda: place(body), "shipment_id", assign)

    async def book_return(self, request: BookingRequest) -> Booking:
        """Have a parcel picked up at the buyer's (`ship_to`) and brought to `return_to`."""
        body = mapping.reverse_order(request, self._channel_id)
        place = self._client.reverse_order if self._two_step else self._client.reverse
        warehouse_id, carrier_id = mapping.registered(request.return_to), carriers.current(request.service)

        def assign(placed: Mapping[str, Json]) -> Awaitable[Mapping[str, Json]]:
            return self._client.reverse_shipment(reading.text(placed.get("return_id")), warehouse_id, carrier_id)

        return await _book(lambda: place(body), "return_id", assign)

    async def cancel(self, awbs: Sequence[str]) -> Sequence[CancelResult]:
        """Ask to cancel, 50 at a time. A parcel that can no longer be cancelled does not keep the others from it."""
        unique = list(dict.fromkeys(awbs))
        results: dict[str, CancelResult] = {}
        for batch in _batches(unique, CANCEL_BATCH):
            for result in await self._cancel(batch):
                results[result.awb] = result
        return [results[awb] for awb in unique]

    async def _cancel(self, batch: Sequence[str]) -> list[CancelResult]:
        try:
            message = await self._client.cancel(batch)
        except Refused as refusal:
            # Velocity refuses a batch as a whole: set aside the parcels it names, or search for them by halves.
            named = [awb for awb in batch if re.search(rf"\b{re.escape(awb)}\b", refusal.message)]
            if len(batch) == 1 or refusal.code == "not_allowed":
                named = list(batch)
            done = refusal.code == "already_cancelled"
            results = [CancelResult(awb, accepted=done, message=refusal.message) for awb in named]
            rest = [awb for awb in batch if awb not in named]
            half = 0 if named else len(rest) // 2
            for part in filter(None, (rest[:half], rest[half:])):
                results.extend(await self._cancel(part))
            return results
        return [CancelResult(awb, accepted=True, message=message) for awb in batch]

    async def scans(self, awbs: Sequence[str]) -> Mapping[str, TrackingReply]:
        """The history of each AWB. When Velocity fails part-way, what it had answered by then."""
        replies: dict[str, TrackingReply] = {}
        for batch in _batches(list(dict.fromkeys(awbs)), TRACKING_BATCH):
            try:
                replies.update(await self._track(batch))
            except Unavailable:
                if not replies:
                    raise
                log.warning("velocity tracking stopped part-way", answered=len(replies), asked=len(awbs))
                break
        return replies

    async def _track(self, batch: Sequence[str]) -> Mapping[str, TrackingReply]:
        try:
            result = await self._client.track(batch)
        except Refused as refusal:
            if refusal.code == "not_allowed":
                raise
            if len(batch) == 1:
                return {batch[0]: TrackingReply(batch[0], error=refusal.message)}
            half = len(batch) // 2
            return {**await self._track(batch[:half]), **await self._track(batch[half:])}
        seen_at, replies = clock.now(), dict[str, TrackingReply]()
        by_awb = {awb.strip().upper(): entry for awb, entry in result.items()}
        for awb in batch:
            if awb.upper() not in by_awb:
                continue
            replies[awb], unread = tracking.reply_of(awb, by_awb[awb.upper()], seen_at)
            if unread:
                log.warning("velocity tracking events without a readable date", awb=awb, events=unread)
        return replies

    async def register_pickup_point(self, point: PickupPoint) -> str:
        """The point's warehouse id at Velocity. Registering the same place twice makes two of them there."""
        payload = await self._client.create_warehouse(mapping.warehouse(point))
        try:
            return mapping.warehouse_id(payload)
        except Malformed as failure:
            raise Unavailable(str(failure), maybe_received=True) from failure

    async def fetch_label(self, url: str) -> bytes:
        """The label PDF, at most 5 MB, from Velocity's own hosts only."""
        labels.check_url(url, self._label_hosts)
        return labels.pdf_of(await self._client.download(url))

    async def totals(self, start: datetime, end: datetime, flow: Flow) -> Mapping[str, int]:
        """Parcels by Velocity's summary bucket between two moments."""
        payload = await self._client.reports(
            mapping.report_moment(start), mapping.report_moment(end), mapping.SHIPMENT_TYPE[flow]
        )
        return mapping.totals(payload)


async def _book(
    place: Callable[[], Awaitable[Mapping[str, Json]]],
    handle: str,
    assign: Callable[[Mapping[str, Json]], Awaitable[Mapping[str, Json]]],
) -> Booking:
    """Place an order, have the AWB assigned if that did not happen at once, and read the booking.

    `handle` names the field that assigning needs. Raises Refused only where no parcel can exist.
    """
    try:
        payload = await place()
        if not mapping.awb_of(payload) and mapping.nothing_created(payload):
            raise refusals.refused("order_rejected", refusals.words_of(payload))
        if not mapping.awb_of(payload) and reading.text(payload.get(handle)):
            assigned = await _assigned(lambda: assign(payload))
            payload = {**payload, **{name: value for name, value in assigned.items() if value not in (None, "")}}
        return mapping.booking(payload)
    except Refused as refusal:
        if refusal.code == "duplicate_order":
            # The reference is our shipment's alone, so an earlier try of this booking reached Velocity.
            raise Unavailable(refusal.message, maybe_received=True) from refusal
        raise
    except Malformed as failure:
        raise Unavailable(f"Velocity's booking could not be read: {failure}", maybe_received=True) from failure


async def _assigned(assign: Callable[[], Awaitable[Mapping[str, Json]]]) -> Mapping[str, Json]:
    """The second of two steps. The order stands by now, so starting over would only make a duplicate: what was
    certainly not received is asked again here, and a lasting failure is told as possibly received."""
    for wait in (*ASSIGN_WAITS, None):
        try:
            return await assign()
        except Unavailable as failure:
            if failure.maybe_received:
                raise
            if wait is None:
                raise Unavailable(str(failure), maybe_received=True) from failure
            asked = wait if failure.retry_after is None else failure.retry_after
            await asyncio.sleep(min(asked, ASSIGN_WAIT_AT_MOST))
    raise AssertionError("unreachable")


def _batches(items: Sequence[str], size: int) -> list[Sequence[str]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
