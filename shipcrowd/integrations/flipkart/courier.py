"""Flipkart's own courier: the seller packs, Flipkart carries. Packing at Flipkart is the booking.

Packing is asynchronous: the label is asked for, and is there some seconds, at times half an hour later. Nothing is
packed twice: what there is to do is decided by the shipment's state, read first each time, so a booking that was cut
short anywhere is simply made again.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from shipcrowd.channels.contract import StoreAccount
from shipcrowd.couriers.contract import (
    FORMS_NEEDED,
    Booking,
    BookingRequest,
    CancelResult,
    FilledForm,
    HandOver,
    NotPrepared,
    Paper,
    Parcel,
    Scan,
    ServiceOffer,
    TrackingReply,
)
from shipcrowd.integrations.flipkart import client, mapping, oauth, sync, words
from shipcrowd.integrations.flipkart.account import flipkart_app
from shipcrowd.integrations.flipkart.client import NO_ANSWER, FlipkartClient, Outcome, outcomes
from shipcrowd.integrations.flipkart.mapping import Standing
from shipcrowd.integrations.flipkart.reading import first, moment, obj, objects, reading, spoken, text
from shipcrowd.kernel import clock
from shipcrowd.kernel.outbound import Json, Refused, Unavailable
from shipcrowd.orders.schemas import Fulfilment

SERVICE = ServiceOffer(service="standard", name="Flipkart logistics", carrier="Flipkart")
POLLS: tuple[float, ...] = (3.0, 5.0)
"""Seconds between looks at a shipment that is being packed; what takes longer is looked at by a later try."""
LATER_SECONDS = 20.0
LABEL_HOURS = 24
TRACKING_BATCH = 25

PAPERS: Mapping[Paper, tuple[client.Operation, Mapping[str, str] | None]] = {
    Paper.invoice: (client.INVOICES, None),
    Paper.bare_label: (client.LABEL_ONLY, {"reprint": "true"}),
    Paper.forms: (client.FORMS, None),
}

_PACKED = words.STEPS["PACKED"]
_FORMS_WANTED = "FORM_FAILED"
_LOOK_AGAIN = frozenset({"OPERATION_NOT_ALLOWED", NO_ANSWER})
_LABEL = re.compile(r"/sellers/v3/shipments/([^/,?#]+)/labels")


class FlipkartCourier:
    """Standard fulfilment of one connected store. See `couriers.contract` for what each method promises."""

    def __init__(self, account: StoreAccount) -> None:
        self._client = FlipkartClient(account, hurried=True)
        self._in_peace = FlipkartClient(account)
        self._base = oauth.base_url(flipkart_app(account.app))

    async def offers(self, parcel: Parcel) -> Sequence[ServiceOffer]:
        """Flipkart carries whatever it sold, and charges in its settlements."""
        return (SERVICE,)

    async def book(self, request: BookingRequest) -> Booking:
        """Pack the shipment, unless it is packed. Raises Unavailable, with a time to come back, while the label is
        made; what it may have heard is seen by the next look at its state, so nothing is left open."""
        shipment_id = request.order_external_id
        if not shipment_id:
            raise Refused("not_flipkart", "Flipkart carries orders sold on Flipkart only.")
        how = await sync.state_of(self._client, shipment_id)
        if _to_pack(how, request):
            packed = await self._pack([_packing(how, request)])
            # Somebody may have packed it meanwhile; the state knows.
            if not packed[0].done and packed[0].code != "OPERATION_NOT_ALLOWED":
                packed[0].or_raise()
        how = await self._packed(shipment_id)
        details = (await sync.details(self._client, [shipment_id])).get(shipment_id, {})
        carried = mapping.courier_of(details)
        if carried is None:
            raise Unavailable("Flipkart has not given the shipment its AWB yet", retry_after=LATER_SECONDS)
        return Booking(
            awb=carried[0],
            carrier=carried[1],
            courier_order_id=text(how.items[0].raw.get("orderId")) or None,
            courier_shipment_id=shipment_id,
            label_url=self._client.url(client.LABELS, [shipment_id]),
        )

    async def pack(self, requests: Sequence[BookingRequest]) -> list[Outcome]:
        """Ask for the labels of many, which come later (`book` looks for each). One that cannot be packed fails
        alone; in the order given."""
        states = await sync.states_of(self._client, [request.order_external_id or "" for request in requests])
        results: dict[int, Outcome] = {}
        asked: dict[int, Json] = {}
        for at, request in enumerate(requests):
            shipment_id = request.order_external_id or ""
            try:
                if shipment_id not in states:
                    raise Refused("not_found", "Flipkart has no such shipment.")
                if _to_pack(states[shipment_id], request):
                    asked[at] = _packing(states[shipment_id], request)
                else:
                    results[at] = Outcome(shipment_id, True)
            except Refused as refusal:
                results[at] = Outcome(shipment_id, False, refusal.code, refusal.message)
        places = list(asked)
        for start in range(0, len(places), client.AT_ONCE):
            some = places[start : start + client.AT_ONCE]
            results |= dict(zip(some, await self._pack([asked[at] for at in some]), strict=True))
        return [results[at] for at in range(len(requests))]

    async def prepare(self, requests: Sequence[BookingRequest]) -> Sequence[NotPrepared]:
        """Have the labels of many made; those that cannot be packed. What Flipkart could not do just now, or somebody
        packed meanwhile, is left to `book`, which looks at the state."""
        told = zip(requests, await self.pack(requests), strict=True)
        return [
            NotPrepared(request.reference, outcome.code.lower() or "refused", outcome.message or "no reason given")
            for request, outcome in told
            if not (outcome.done or outcome.passing or outcome.code in _LOOK_AGAIN)
        ]

    async def cancel(self, awbs: Sequence[str]) -> Sequence[CancelResult]:
        """What has an AWB is packed, and a seller may cancel before packing only."""
        because = "Flipkart lets a seller cancel before packing only; the buyer, or Flipkart's support, can do it now."
        return [CancelResult(awb, accepted=False, message=because) for awb in awbs]

    async def scans(self, awbs: Sequence[str]) -> Mapping[str, TrackingReply]:
        return {awb: TrackingReply(awb, error="Flipkart is asked by shipment, not by AWB.") for awb in awbs}

    async def scans_of(self, shipments: Mapping[str, str]) -> Mapping[str, TrackingReply]:
        """Flipkart shows a shipment's state and when it changed last, not its way: one scan each."""
        states = await sync.states_of(self._in_peace, list(shipments.values()))
        return {awb: _reply(awb, states.get(shipment)) for awb, shipment in shipments.items()}

    async def fetch_label(self, url: str) -> bytes:
        """Label and invoice of one shipment, as often as asked: it is made once, at packing."""
        found = _LABEL.fullmatch(url.removeprefix(self._base)) if url.startswith(self._base + "/") else None
        if found is None:
            raise Refused("foreign_label", "The label is not at Flipkart's address.")
        return await self._client.pdf(client.LABELS, ids=[unquote(found.group(1))])

    async def paper(self, kind: Paper, shipment: str) -> bytes:
        """Invoice, label without its invoice, or the way-bill forms of a state."""
        operation, params = PAPERS[kind]
        return await self._client.pdf(operation, ids=[shipment], params=params)

    async def forms_done(self, shipment: str, filled: Sequence[FilledForm]) -> None:
        """Lets a shipment of FORM_FAILED be packed. Nothing to do for one that waits for none (any more): what may have
        been heard already is not told twice."""
        if (await sync.state_of(self._client, shipment)).status != _FORMS_WANTED:
            return
        told = [{"name": form.name, "ackNumber": form.number} for form in filled]
        answer = await self._client.call(
            client.FORMS_DONE, body={"shipments": [{"shipmentId": shipment, "forms": told}]}
        )
        outcomes(answer, [shipment])[0].or_raise()

    async def hand_overs(self, shipments: Sequence[str]) -> Sequence[HandOver]:
        states = await sync.states_of(self._client, shipments)
        found: list[HandOver] = []
        for place in dict.fromkeys(how.location for how in states.values()):
            answer = await self._client.call(client.COUNTS, params={"locationId": place})
            counts = objects(answer if isinstance(answer, list) else obj(answer).get("resultManifestDetails"))
            with reading("hand-over counts", counts):
                found += [_hand_over(place, raw) for raw in counts]
        return found

    async def manifest_pdf(self, hand_over: HandOver) -> bytes:
        asked: dict[str, Json] = {
            "vendorGroupCode": hand_over.carrier,
            "locationId": hand_over.place,
            "isMps": hand_over.multi_package,
        }
        if hand_over.pickup_from and hand_over.pickup_to:
            asked["pickupDate"] = {"from": spoken(hand_over.pickup_from), "to": spoken(hand_over.pickup_to)}
        return await self._client.pdf(client.MANIFEST, body={"params": asked})

    async def _pack(self, asked: Sequence[Json]) -> list[Outcome]:
        ids = [each["shipmentId"] for each in asked]
        try:
            return outcomes(await self._client.call(client.PACK, body={"shipments": list(asked)}), ids)
        except Unavailable as failure:
            # Heard or not, the state tells the next time.
            raise Unavailable(str(failure), retry_after=failure.retry_after) from failure

    async def _packed(self, shipment_id: str) -> Standing:
        how = await sync.state_of(self._client, shipment_id)
        for seconds in POLLS:
            if how.step is not None and how.step >= _PACKED:
                return how
            _may_be_packed(how)
            await asyncio.sleep(seconds)
            how = await sync.state_of(self._client, shipment_id)
        if how.step is not None and how.step >= _PACKED:
            return how
        _may_be_packed(how)
        raise Unavailable("Flipkart is still making the label", retry_after=LATER_SECONDS)


def _may_be_packed(how: Standing) -> None:
    """Raises Refused where waiting for the label is of no use."""
    if how.status in words.CANCELLED:
        raise Refused("cancelled", "Flipkart has cancelled this shipment.")
    if how.status == _FORMS_WANTED:
        raise Refused(FORMS_NEEDED, f"A state wants a form filled in{_named(how)}; give its number, and book again.")
    if how.step is None:
        raise Refused("unknown_state", f"Flipkart has the shipment in a state unknown to us ({how.status}).")


def _named(how: Standing) -> str:
    """The forms wanted, by name, as far as they are told."""
    told: Sequence[Json] = how.raw.get("forms") or ()
    names = [text(first(obj(each), "name", "formName")) if isinstance(each, dict) else text(each) for each in told]
    return f" ({', '.join(named)})" if (named := [name for name in names if name]) else ""


def _to_pack(how: Standing, request: BookingRequest) -> bool:
    """Whether it is still to be packed. Raises Refused where it must not be."""
    if how.fulfilment is not Fulfilment.marketplace_logistics:
        raise Refused("not_standard", "Flipkart's courier does not carry this shipment.")
    _may_be_packed(how)
    if how.status != "APPROVED":
        return False
    if how.hold:
        raise Refused("on_hold", "Flipkart holds this shipment; wait until it is released.")
    after = moment(how.raw.get("dispatchAfterDate"))
    if after is not None and clock.now() < after:
        raise Refused("too_early", f"Flipkart lets this be packed from {clock.ist(after):%d %b %H:%M} on.")
    wanted, live = sum(line.units for line in request.lines), sum(item.live for item in how.items)
    if wanted != live:
        raise Refused("whole_shipment", f"Flipkart packs a shipment whole: {live} units, not {wanted}.")
    return True


def _packing(how: Standing, request: BookingRequest) -> Json:
    live = [item for item in how.items if item.live]
    orders = dict.fromkeys(text(item.raw.get("orderId")) for item in live)
    return {
        "shipmentId": how.id,
        "locationId": how.location,
        # Flipkart works out the tax by the listing; a rate is asked for all the same, and clients send none.
        "taxItems": [{"orderItemId": item.id, "quantity": item.live, "taxRate": 0} for item in live],
        "invoices": [{"orderId": order, "invoiceDate": clock.today().isoformat()} for order in orders],
        "subShipments": _measured(how, request),
    }


def _measured(how: Standing, request: BookingRequest) -> list[Json]:
    """Centimetres and kilograms of each package: as measured now, or as Flipkart has them where there are several."""
    subs = objects(how.raw.get("subShipments")) or [{"subShipmentId": "SS-1"}]
    if len(subs) == 1:
        measured = {
            "length": request.length_mm / 10,
            "breadth": request.breadth_mm / 10,
            "height": request.height_mm / 10,
            "weight": request.weight_grams / 1000,
        }
        return [{"subShipmentId": text(subs[0].get("subShipmentId")), "dimensions": measured}]
    packages: list[Json] = []
    for sub in subs:
        known = mapping.size({"subShipments": [sub]})
        if known is None:
            raise Refused("not_measured", "Flipkart does not know the sizes of all packages; pack this one there.")
        names = ("length", "breadth", "height", "weight")
        measured = {name: float(number) for name, number in zip(names, known, strict=True)}
        packages.append({"subShipmentId": text(sub.get("subShipmentId")), "dimensions": measured})
    return packages


def _reply(awb: str, how: Standing | None) -> TrackingReply:
    at = moment(how.raw.get("updatedAt")) if how else None
    if how is None or at is None:
        return TrackingReply(awb, error="Flipkart does not tell of this shipment.")
    table: Mapping[str, Any] = words.PROGRESS
    if how.coming_back and how.status in words.COMING_BACK:
        table = words.COMING_BACK
    return TrackingReply(awb, (Scan(at, how.status, table.get(how.status)),), courier_order_id=how.id)


def _hand_over(place: str, raw: Mapping[str, Json]) -> HandOver:
    when, code = obj(raw.get("pickUpDate")), obj(raw.get("otc"))
    return HandOver(
        place=place,
        carrier=text(raw["vendorGroupCode"]),
        parcels=int(raw.get("count") or 0),
        multi_package=first(raw, "isMps", "is_mps") is True,
        pickup_from=moment(first(when, "from", "after")),
        pickup_to=moment(first(when, "to", "before")),
        code=text(code.get("code")) or None,
    )
