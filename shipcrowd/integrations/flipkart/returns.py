"""Returns v2: what comes back, and what a seller who ships himself says to it.

`courier_return` is a parcel that never reached the buyer (RTO); `customer_return` one that did and is sent back. The
words in brackets beside them in Flipkart's documents are swapped in places; ours go by the names.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta

from shipcrowd.channels.returns_contract import ChannelReturn, ReturnDecision, ReturnKind, ReturnResult, ReturnState
from shipcrowd.integrations.flipkart import client
from shipcrowd.integrations.flipkart.client import FlipkartClient, outcomes
from shipcrowd.integrations.flipkart.reading import first, moment, obj, reading, spoken, text, units
from shipcrowd.integrations.flipkart.sync import AHEAD, batches
from shipcrowd.kernel import clock
from shipcrowd.kernel.outbound import Json, Malformed

SOURCES: Mapping[str, ReturnKind] = {
    "customer_return": ReturnKind.customer,
    "courier_return": ReturnKind.undelivered,
}

STATES: Mapping[str, ReturnState] = {
    "init": ReturnState.open,
    "created": ReturnState.open,
    "service_requested": ReturnState.open,
    "approved": ReturnState.approved,
    "rejected": ReturnState.rejected,
    "picked_up": ReturnState.picked_up,
    "cancellation_in_progress": ReturnState.open,
    "cancelled": ReturnState.cancelled,
    "completed": ReturnState.completed,
}
"""Flipkart's word for a return → ours; another leaves the state unknown."""

FETCHED = frozenset({"PICKED_UP", "PICKUP_COMPLETE", "SHIPPED", "IN_TRANSIT", "OUT_FOR_DELIVERY", "DELIVERED"})
"""Where the goods are once they left the buyer. The status stays `approved` until they arrive."""

WINDOW = timedelta(days=7)
"""A search reaches over so much, so that a first one over months is not one list of endless pages."""

PASSES = 4

ACTIONS: Mapping[str, str] = {
    "approve": "approve",
    "reject": "reject",
    "pickup": "pickup",
    "attempt": "pickupAttempt",
    "complete": "complete",
    "cancel": "cancel",
}


async def changed(api: FlipkartClient, since: datetime) -> AsyncIterator[Sequence[ChannelReturn]]:
    """Returns changed at or after `since`, by page; the two kinds one after the other. One that cannot be read does
    not keep the others back: it comes with `problem` set."""
    until = clock.now() + AHEAD
    for source, kind in SOURCES.items():
        start = since
        while start < until:
            end = min(start + WINDOW, until)
            asked = {"source": source, "modifiedAfter": spoken(start), "modifiedBefore": spoken(end)}
            async for page in _whole(api, asked):
                yield [_read(raw, kind) for raw in page]
            start = end


async def _whole(api: FlipkartClient, asked: Mapping[str, str]) -> AsyncIterator[list[dict[str, Json]]]:
    """Everything one search finds. Its pages are numbered, over a set that what changes meanwhile leaves: of several
    pages all are read again until they show nothing new."""
    seen = set[tuple[str, str]]()
    for _ in range(PASSES):
        pages, new = 0, 0
        async for page, _more in api.pages(client.RETURNS, key="returnItems", params=asked):
            fresh = [raw for raw in page if _form(raw) not in seen]
            seen.update(_form(raw) for raw in fresh)
            pages, new = pages + 1, new + len(fresh)
            if fresh:
                yield fresh
        if pages < 2 or not new:
            return


def _form(raw: Mapping[str, Json]) -> tuple[str, str]:
    return str(raw.get("returnId")), str(raw.get("updatedDate"))


async def named(api: FlipkartClient, external_ids: Sequence[str]) -> list[ChannelReturn]:
    """These returns as they are now. One Flipkart does not know is not in the answer."""
    found: list[ChannelReturn] = []
    for some in batches(list(dict.fromkeys(external_ids)), client.RETURNS_AT_ONCE):
        asked = {"returnIds": ",".join(some)}
        async for page, _ in api.pages(client.RETURNS, key="returnItems", params=asked):
            found += [_read(raw, SOURCES.get(text(first(raw, "source", "type")).lower())) for raw in page]
    return found


async def decide(api: FlipkartClient, decisions: Sequence[ReturnDecision]) -> list[ReturnResult]:
    """Say yes, no, or how far it is to returns of a self-ship store; what became of each, in the order given."""
    results: dict[int, ReturnResult] = {}
    together: dict[tuple[str, str], list[int]] = defaultdict(list)
    for at, decision in enumerate(decisions):
        if decision.action not in ACTIONS:
            results[at] = ReturnResult(decision.external_id, False, "unknown_action", f"No {decision.action} here.")
        else:
            together[ACTIONS[decision.action], decision.location].append(at)
    for (action, location), places in together.items():
        for start in range(0, len(places), client.RETURNS_AT_ONCE):
            some = places[start : start + client.RETURNS_AT_ONCE]
            body = {"returns": [_asked(decisions[at]) for at in some], "locationId": location}
            answer = await api.call(client.RETURN_ACTION, action=action, body=body)
            told = outcomes(answer, [decisions[at].external_id for at in some], key="returns", name="returnId")
            for at, outcome in zip(some, told, strict=True):
                results[at] = ReturnResult(
                    outcome.id, outcome.done, outcome.code, outcome.message, again=outcome.passing
                )
    return [results[at] for at in range(len(decisions))]


def _asked(decision: ReturnDecision) -> Json:
    asked = {
        "returnId": decision.external_id,
        "serviceFulfilmentId": decision.service_id,
        "serviceDate": spoken(decision.at) if decision.at else None,
        "comments": decision.comment or None,
    }
    return {name: value for name, value in asked.items() if value}


def _read(raw: Mapping[str, Json], kind: ReturnKind | None) -> ChannelReturn:
    try:
        with reading("return", raw):
            return incoming(raw, kind)
    except Malformed as error:
        return ChannelReturn(
            external_id=str(raw.get("returnId") or ""),
            kind=kind,
            order_external_id=str(raw.get("shipmentId") or ""),
            line_external_id=None,
            state=None,
            status=str(raw.get("status") or ""),
            units=0,
            problem=str(error),
        )


def incoming(raw: Mapping[str, Json], kind: ReturnKind | None) -> ChannelReturn:
    """A `returnItem`. Pure. Raises Malformed, or what a strange shape does to it."""
    services = [obj(service) for service in raw.get("services") or ()]
    status = text(raw.get("status"))
    return ChannelReturn(
        external_id=text(raw["returnId"]),
        kind=kind,
        order_external_id=text(raw["shipmentId"]),
        line_external_id=text(raw.get("orderItemId")) or None,
        state=_state(raw, status, kind),
        status=status,
        units=units(raw["quantity"]),
        reason=", ".join(part for part in (text(raw.get("reason")), text(raw.get("subReason"))) if part),
        comment=text(raw.get("comments")),
        awb=text(raw.get("trackingId")) or None,
        carrier=text(raw.get("courierName")) or None,
        location=text(raw.get("locationId")),
        service_id=text(first(services[0], "serviceFulfilmentId")) if services else "",
        asked_at=moment(raw.get("createdDate")),
        updated_at=moment(raw.get("updatedDate")),
        expected_at=moment(raw.get("expectedDate")),
    )


def _state(raw: Mapping[str, Json], status: str, kind: ReturnKind | None) -> ReturnState | None:
    known = STATES.get(status.lower().removeprefix("return_"))
    under_way = known in (ReturnState.open, ReturnState.approved) and kind is not ReturnKind.undelivered
    if under_way and text(raw.get("shipmentStatus")).upper() in FETCHED:
        return ReturnState.picked_up
    return known
