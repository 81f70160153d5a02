"""Packed shipments that Flipkart's courier is to come for."""

from collections import defaultdict
from collections.abc import Sequence

from shipcrowd.channels.contract import ParcelRefusal, ReadyParcel
from shipcrowd.integrations.flipkart import client, sync, words
from shipcrowd.integrations.flipkart.client import FlipkartClient, outcomes
from shipcrowd.integrations.flipkart.mapping import Standing
from shipcrowd.orders.schemas import Fulfilment

_PACKED = words.STEPS["PACKED"]


async def ready(api: FlipkartClient, parcels: Sequence[ReadyParcel]) -> list[ParcelRefusal]:
    """Mark as ready to dispatch, 25 of a location a call; those that were not taken. What is marked already, or gone,
    is left as it is, so the whole is asked again where Flipkart could not do one just now: raises Unavailable."""
    states = await sync.states_of(api, [parcel.order_ref for parcel in parcels])
    refused: dict[str, tuple[str, str]] = {}
    by_place: dict[str, list[str]] = defaultdict(list)
    for shipment in dict.fromkeys(parcel.order_ref for parcel in parcels):
        how = states.get(shipment)
        if (because := _hindrance(how)) is not None:
            refused[shipment] = because
        elif how is not None and how.step == _PACKED:
            by_place[how.location].append(shipment)
    for place, waiting in by_place.items():
        for some in sync.batches(waiting, client.AT_ONCE):
            answer = await api.call(client.DISPATCH, body={"shipmentIds": list(some), "locationId": place})
            for outcome in outcomes(answer, some):
                if outcome.passing:
                    outcome.or_raise()
                if not outcome.done:
                    refused[outcome.id] = (outcome.code or "refused", outcome.message or outcome.code)
    return [
        ParcelRefusal(parcel.reference, *refused[parcel.order_ref]) for parcel in parcels if parcel.order_ref in refused
    ]


def _hindrance(how: Standing | None) -> tuple[str, str] | None:
    """Code and words where Flipkart need not be asked."""
    if how is None:
        return "not_found", "Flipkart has no such shipment."
    if how.fulfilment is not Fulfilment.marketplace_logistics:
        return "not_standard", "Flipkart's courier does not carry this shipment."
    if how.step is None or how.step < _PACKED:
        return "not_packed", f"The shipment is not packed ({how.status.lower()})."
    return None
