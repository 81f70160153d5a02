"""Amazon Shipping: Amazon's carrier for parcels sold anywhere, in the name of a connected seller.

A purchase carries our shipment's id as its idempotency key: the same key again is the same parcel, so one whose answer
was lost is simply made once more. Source: shipping v2.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import ClassVar
from urllib.parse import quote, unquote

import structlog

from shipcrowd.channels.contract import StoreAccount
from shipcrowd.couriers.contract import (
    Booking,
    BookingRequest,
    CancelResult,
    Parcel,
    ServiceOffer,
    TrackingReply,
)
from shipcrowd.integrations.amazon import parcels
from shipcrowd.integrations.amazon.client import AmazonClient
from shipcrowd.integrations.amazon.operations import (
    CANCEL_SHIPMENT,
    NDR_FEEDBACK,
    ONE_CLICK,
    PURCHASE,
    SHIPMENT_DOCUMENTS,
    SHIPPING_RATES,
    TRACKING,
)
from shipcrowd.integrations.amazon.raw import objects, reading, text, within
from shipcrowd.integrations.amazon.refusals import NotDone
from shipcrowd.kernel import clock
from shipcrowd.kernel.outbound import Json, Malformed, Refused, Unavailable

log = structlog.get_logger(__name__)

SLUG = "amazon_shipping"
TRACKING_BATCH = 25
CARRIER = "ATS"
"""Amazon's own carrier, for a parcel whose number a person typed."""
REPEAT_AFTER_SECONDS = 2.0

_LABEL = re.compile(r"/shipping/v2/shipments/([^/?#]+)/documents\?packageClientReferenceId=([^&#]+)&format=PDF")
_NOON = time(12)
_ENROLLED_AFTER, _BACK_AFTER = timedelta(hours=1), timedelta(seconds=20)
"""How soon a seller may have enrolled, and Amazon be there again."""
_ROOM = 10_000


RATES_SECONDS = 4.0
"""Somebody waits at a page, and the other couriers' prices with them."""


class _Silent:
    """Sellers for whom Amazon Shipping told no rates, and until when it is not asked again: every quote of a company
    with a store here asks. Most sellers have not enrolled; and where Amazon hangs, one quote waits for it, not each."""

    until: ClassVar[dict[str, tuple[datetime, bool]]] = {}
    """Account → until when, and whether it refused."""


class AmazonShipping:
    """Amazon Shipping in the name of one connected seller. See `couriers.contract` for what each method promises."""

    def __init__(self, account: StoreAccount) -> None:
        self._client = AmazonClient(account)

    async def offers(self, parcel: Parcel) -> Sequence[ServiceOffer]:
        key = self._client.account.key
        until, refused = _Silent.until.get(key, (None, False))
        if until is not None and clock.now() < until:
            raise _not_enrolled() if refused else _no_answer()
        try:
            async with asyncio.timeout(RATES_SECONDS):
                answer = await self._client.call(SHIPPING_RATES, body=parcels.enquiry(parcel))
        except NotDone as refusal:
            # About the seller, not about the parcel: the next parcel would be refused as well.
            if refusal.status not in (401, 403, 404) or refusal.code == "wrong_region":
                raise
            _keep_silent(key, _ENROLLED_AFTER, refused=True)
            raise _not_enrolled() from refusal
        except (TimeoutError, Unavailable) as failure:
            if isinstance(failure, Unavailable) and failure.retry_after is not None:
                raise  # they said when
            _keep_silent(key, _BACK_AFTER, refused=False)
            raise _no_answer() from failure
        return parcels.offers(within(answer, "payload"), clock.now())

    async def book(self, request: BookingRequest) -> Booking:
        """Ask for rates, which hold for ten minutes, and buy the service that was chosen. Where Amazon says twice that
        they lapsed before they came back to it, the service is bought in one step, which needs none."""
        for last in (False, True):
            try:
                return await self._bought(request)
            except NotDone as refusal:
                # Cash is left to the rates, which say how to ask for it.
                if refusal.code != "TOKEN_EXPIRED" or (last and request.to_collect):
                    raise
        log.info("amazon_bought_in_one_step", reference=request.reference)
        return await self.one_click(request, [request.service])

    async def one_click(self, request: BookingRequest, services: Sequence[str]) -> Booking:
        """Rate and buy in one step: the cheapest of `services`. Amazon takes no idempotency key here, so a purchase
        whose answer is lost leaves the parcel open; `book` does not."""
        answer = await self._client.call(ONE_CLICK, body=parcels.one_step(request, services))
        bought = within(answer, "payload")
        carrier = within(bought, "carrier")
        with reading("purchase", bought):
            charged = parcels.cost(bought.get("totalCharge"))
            label_url = await self._label_url(text(bought["shipmentId"]), request.reference)
            return parcels.booking(bought, text(carrier["id"]), text(carrier.get("name")), charged, label_url)

    async def cancel(self, awbs: Sequence[str]) -> Sequence[CancelResult]:
        because = "Its number was typed here; cancel it in Amazon Shipping, which goes by an id of its own."
        return [CancelResult(awb, accepted=False, message=because) for awb in awbs]

    async def cancel_shipments(self, shipments: Mapping[str, str]) -> Sequence[CancelResult]:
        return [await self._cancelled(awb, parcels.known(kept)) for awb, kept in shipments.items()]

    async def scans(self, awbs: Sequence[str]) -> Mapping[str, TrackingReply]:
        return {awb: await self._tracked(awb, CARRIER) for awb in awbs}

    async def scans_of(self, shipments: Mapping[str, str]) -> Mapping[str, TrackingReply]:
        return {awb: await self._tracked(awb, parcels.known(kept).carrier) for awb, kept in shipments.items()}

    async def fetch_label(self, url: str) -> bytes:
        api = (await self._client.credentials()).place.api
        found = _LABEL.fullmatch(url.removeprefix(api)) if url.startswith(f"{api}/") else None
        if found is None:
            raise Refused("foreign_label", "The label is not at Amazon's address.")
        shipment, reference = map(unquote, found.groups())
        answer = await self._client.call(
            SHIPMENT_DOCUMENTS,
            path={"shipmentId": shipment},
            query={"packageClientReferenceId": reference, "format": "PDF"},
        )
        return parcels.label(within(answer, "payload", "packageDocumentDetail"))

    async def reattempt(self, awb: str, on: date | None, note: str) -> None:
        """Have delivery tried again: on a day, or (then Amazon wants a note to the driver) as soon as it can be."""
        data: dict[str, Json] = {"additionalAddressNotes": note.strip()[: parcels.NOTE] or "Please deliver again."}
        if on is not None:
            data["rescheduleDate"] = datetime.combine(on, _NOON, clock.IST).isoformat()
        action = "REATTEMPT" if on is None else "RESCHEDULE"
        await self._client.call(NDR_FEEDBACK, body={"trackingId": awb, "ndrAction": action, "ndrRequestData": data})

    async def _bought(self, request: BookingRequest) -> Booking:
        token, rate = await self._rate(request)
        body = parcels.purchase(token, rate, request.to_collect)
        bought = within(await self._purchased(request.reference, body), "payload")
        with reading("purchase", {"shipmentId": bought.get("shipmentId")}):
            label_url = await self._label_url(text(bought["shipmentId"]), request.reference)
        return parcels.booking(
            bought,
            text(rate["carrierId"]),
            text(rate.get("carrierName")),
            parcels.cost(rate.get("totalCharge")),
            label_url,
        )

    async def _rate(self, request: BookingRequest) -> tuple[str, dict[str, Json]]:
        """The token and the rate of the service that was chosen. Nothing was bought yet, so whatever goes wrong here is
        told as such: Raises Refused and Unavailable."""
        answer = await self._client.call(SHIPPING_RATES, body=parcels.described(request))
        found = within(answer, "payload")
        try:
            with reading("rates", found):
                for rate in objects(found.get("rates")):
                    if text(rate["serviceId"]) == request.service and parcels.bookable(rate):
                        parcels.cost(rate.get("totalCharge"))
                        return text(found["requestToken"]), {**rate, "carrierId": text(rate["carrierId"])}
                because = parcels.why_none(found)
        except Malformed as failure:
            raise Unavailable(str(failure)) from failure
        raise Refused("not_offered", f"Amazon does not offer this service for the parcel any more. {because}".strip())

    async def _purchased(self, key: str, body: Mapping[str, Json]) -> dict[str, Json]:
        headers = {"x-amzn-IdempotencyKey": key}
        try:
            return await self._client.call(PURCHASE, body=dict(body), headers=headers)
        except Unavailable as failure:
            if not failure.maybe_received:
                raise
            log.info("amazon_purchase_repeated", reference=key)
        await asyncio.sleep(REPEAT_AFTER_SECONDS)
        return await self._client.call(PURCHASE, body=dict(body), headers=headers)

    async def _label_url(self, shipment: str, reference: str) -> str:
        api = (await self._client.credentials()).place.api
        where = f"{api}/shipping/v2/shipments/{quote(shipment, safe='')}/documents"
        return f"{where}?packageClientReferenceId={quote(reference, safe='')}&format=PDF"

    async def _cancelled(self, awb: str, known: parcels.Known) -> CancelResult:
        try:
            await self._client.call(CANCEL_SHIPMENT, path={"shipmentId": known.shipment})
        except NotDone as refusal:
            return CancelResult(awb, accepted=False, message=refusal.message)
        return CancelResult(awb, accepted=True)

    async def _tracked(self, awb: str, carrier: str) -> TrackingReply:
        """One that Amazon does not know, or tells of unreadably, keeps no other from being told of."""
        try:
            answer = await self._client.call(TRACKING, query={"trackingId": awb, "carrierId": carrier})
            return TrackingReply(awb, parcels.scans(within(answer, "payload")))
        except NotDone as refusal:
            if refusal.status in (401, 403):
                raise
            return TrackingReply(awb, error=refusal.message)
        except Malformed as failure:
            log.warning("amazon_tracking_unreadable", error=str(failure))
            return TrackingReply(awb, error="Amazon's tracking could not be read.")


def _keep_silent(key: str, for_: timedelta, *, refused: bool) -> None:
    while len(_Silent.until) >= _ROOM:
        del _Silent.until[next(iter(_Silent.until))]
    _Silent.until[key] = (clock.now() + for_, refused)


def _not_enrolled() -> Refused:
    return Refused("not_enrolled", "Amazon Shipping is not open to this store: enrol for it at Amazon to use it.")


def _no_answer() -> Unavailable:
    return Unavailable("Amazon Shipping does not answer just now")


def forget_silent() -> None:
    """Drop for which sellers Amazon Shipping told this process no rates."""
    _Silent.until.clear()
