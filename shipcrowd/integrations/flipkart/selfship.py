"""Telling Flipkart of parcels that the seller's own courier carries (self-ship).

Flipkart takes a parcel that was announced for *shipped*, and does not take that back. It is therefore told when the
courier has the parcel, not when the label is made; every step looks at the shipment's state first, so each is safe to
repeat and a step that was missed is caught up with. An attempt leaves no trace in that state and is not: the vendor's
declaration says so (`keeps_no_trace_of`), and whoever tells it sees to it that it is told at most once.
"""

import re
from datetime import datetime, timedelta

from shipcrowd.channels.contract import Dispatch, Milestone
from shipcrowd.integrations.flipkart import client, sync, words
from shipcrowd.integrations.flipkart.client import FlipkartClient, Operation, outcomes
from shipcrowd.integrations.flipkart.mapping import Standing
from shipcrowd.integrations.flipkart.reading import first, obj, objects, spoken, text
from shipcrowd.kernel import clock
from shipcrowd.kernel.outbound import Json, Refused

AWB = re.compile(r"[A-Za-z0-9-]{5,40}")
DELIVERED_WITHIN = timedelta(days=5)  # what is promised where nobody knows better; `rescheduled` corrects it

_LEFT = frozenset({Milestone.picked_up, Milestone.in_transit, Milestone.out_for_delivery})
_SHIPPED, _DELIVERED = words.STEPS["SHIPPED"], words.STEPS["DELIVERED"]


async def dispatched(api: FlipkartClient, shipment_id: str, dispatch: Dispatch) -> str | None:
    """See that the parcel may go by the seller's courier; what later steps need of it. None for a shipment Flipkart's
    own courier carries, of which it need not be told."""
    how = await sync.state_of(api, shipment_id)
    if not how.self_ship:
        return None
    if not AWB.fullmatch(dispatch.awb):
        raise Refused("bad_awb", f"Flipkart does not take {dispatch.awb!r} for a tracking number.")
    _may_go(how)
    return "|".join((shipment_id, dispatch.awb, dispatch.carrier.replace("|", " ")))


async def moved(api: FlipkartClient, dispatch_ref: str, milestone: Milestone, at: datetime, message: str) -> None:
    """Tell the step, and those before it that Flipkart has not heard of."""
    shipment_id, awb, carrier = parcel_of(dispatch_ref)
    if milestone not in (*_LEFT, Milestone.attempted, Milestone.delivered):
        return  # a printed label is no news there, and for a parcel on its way back there is no call
    how = await sync.state_of(api, shipment_id)
    if how.step is None or how.step < _SHIPPED:
        _may_go(how)
        await _one(api, client.SELF_DISPATCH, shipment_id, _dispatch(how, awb, carrier, at))
    if milestone is Milestone.delivered and (how.step is None or how.step < _DELIVERED):
        told = {"shipmentId": shipment_id, "locationId": how.location, "deliveryDate": spoken(at)}
        await _one(api, client.SELF_DELIVERY, shipment_id, told)
    elif milestone is Milestone.attempted and (how.step is None or how.step < _DELIVERED):
        again = {
            "reason": message,
            "subReason": message,
            "newDeliveryDate": spoken(max(at, clock.now()) + timedelta(days=1)),
        }
        told = {
            "shipmentId": shipment_id,
            "locationId": how.location,
            "deliveryDate": spoken(at),
            "failureAttributes": again,
        }
        await _one(api, client.SELF_ATTEMPT, shipment_id, told)


async def withdrawn(api: FlipkartClient, dispatch_ref: str) -> None:
    """Nothing to take back while Flipkart has not been told; afterwards it cannot be."""
    shipment_id, _, _ = parcel_of(dispatch_ref)
    how = await sync.state_of(api, shipment_id)
    if how.step is not None and how.step >= _SHIPPED:
        raise Refused("already_dispatched", "Flipkart has this shipment as dispatched; settle it in Seller Hub.")


async def rescheduled(api: FlipkartClient, dispatch_ref: str, expected: datetime) -> None:
    """Another day the parcel is expected on, or (with a new `dispatch_ref`) another AWB."""
    shipment_id, awb, carrier = parcel_of(dispatch_ref)
    told = {
        "shipment_id": shipment_id,
        "tracking_id": awb,
        "seller_id": api.account.external_id,
        "delivery_partner": carrier,
        "tentative_delivery_date": spoken(expected),
    }
    answer = obj(await api.call(client.SELF_UPDATE, ids=[shipment_id], body=told))
    # What comes back is not documented: an outcome by itself, one in a list, or nothing at all.
    for told_back in objects(answer.get("shipments")) or [answer]:
        if first(told_back, "status", "processingStatus") is not None:
            outcomes({"shipments": [{**told_back, "shipmentId": shipment_id}]}, [shipment_id])[0].or_raise()


def parcel_of(dispatch_ref: str) -> tuple[str, str, str]:
    """(shipment id, AWB, carrier) of what `dispatched` gave. Raises Refused."""
    parts = dispatch_ref.split("|")
    if len(parts) != 3:
        raise Refused("unknown_dispatch", "This parcel was not announced to Flipkart by us.")
    return parts[0], parts[1], parts[2]


def _may_go(how: Standing) -> None:
    if how.status in words.CANCELLED:
        raise Refused("cancelled", "Flipkart has cancelled this shipment; do not send it.")
    if how.hold:
        raise Refused("on_hold", "Flipkart holds this shipment; wait until it is released.")


def _dispatch(how: Standing, awb: str, carrier: str, at: datetime) -> Json:
    now = clock.now()
    live = [{"orderItemId": item.id, "quantity": item.live} for item in how.items if item.live]
    # Flipkart wants the number of an invoice. The seller's own is not known here; the order's number is on the label
    # and the packing slip, and leads to it.
    invoice = {
        "invoiceNumber": text(how.items[0].raw.get("orderId")) or how.id,
        "invoiceDate": clock.ist(min(at, now)).date().isoformat(),
        "items": live,
    }
    return {
        "shipmentId": how.id,
        "locationId": how.location,
        "dispatchDate": spoken(min(at, now)),
        "tentativeDeliveryDate": spoken(max(at + DELIVERED_WITHIN, now)),
        "deliveryPartner": carrier,
        "deliveryPartnerCode": words.partner_code(carrier),
        "trackingId": awb,
        "invoice": invoice,
        "dispatchLocation": {"locationId": how.location},
    }


async def _one(api: FlipkartClient, operation: Operation, shipment_id: str, told: Json) -> None:
    answer = await api.call(operation, body={"shipments": [told]})
    outcomes(answer, [shipment_id])[0].or_raise()
