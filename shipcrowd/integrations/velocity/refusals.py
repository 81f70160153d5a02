"""Velocity's error bodies, in all their shapes, turned into one `Refused` with a stable code and readable words.

Velocity answers `{message}`, `{error}`, `{message, errors: {field: [...]}}`, sometimes with `warehouse_id`,
`pincode` or `current_status` beside, and older accounts use other statuses for the same thing. The class is
therefore found from the operation, the status and keywords, in the order of the tables below. Pure.
"""

import re
from collections.abc import Mapping
from typing import cast

from shipcrowd.integrations.velocity import reading
from shipcrowd.kernel.outbound import Json, Refused

WORDS: Mapping[str, str] = {
    "validation": "Velocity did not accept the details",
    "warehouse_not_found": "Velocity does not know this pickup address; register it with Velocity again",
    "warehouse_not_registered": "The pickup address is not registered with Velocity yet; register it first",
    "shipment_not_found": "Velocity does not know this shipment",
    "not_cancellable": "Velocity can no longer cancel this shipment",
    "already_cancelled": "Velocity has already been asked to cancel this shipment",
    "awb_not_assigned": "Velocity could not get an AWB from the courier; try another courier",
    "not_serviceable": "The courier does not serve this route",
    "duplicate_order": "Velocity already has an order with this reference",
    "order_rejected": "Velocity did not create the order",
    "not_allowed": "Velocity does not allow this account to do that",
    "label_unavailable": "The courier's label can no longer be downloaded; ask Velocity for a new one",
    "label_host_refused": "The label's address is not one of Velocity's",
    "refused": "Velocity refused the request",
}
"""Code → what a seller reads. Velocity's own words follow after a colon."""

# A second try under the same reference must not be read as a plain refusal: the first one may have made a parcel.
DUPLICATE = re.compile(
    r"duplicate.{0,40}(order|reference)|order.{0,60}(duplicate|already (been )?(exist|taken|used|created))"
    r"|(awb|waybill).{0,40}already|already.{0,30}(awb|assigned)"
)
MISSING = re.compile(r"not found|not exist|no such|unknown|not registered")
ALREADY_CANCELLED = re.compile(r"already.{0,30}cancel|cancel\w* .{0,30}already|cancellation (was |is )?requested")

KEYWORDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("not_cancellable", ("cancel",)),
    ("awb_not_assigned", ("waybill", "awb", "assign", "courier")),
    ("not_serviceable", ("pincode", "serviceab")),
    ("order_rejected", ("order", "duplicate")),
)
"""For 422 and for failures told with HTTP 200: the first row with a word found in the text decides."""

BY_STATUS: Mapping[int, str] = {400: "validation", 403: "not_allowed", 404: "shipment_not_found", 409: "order_rejected"}

BESIDE: Mapping[str, str] = {"warehouse_id": "warehouse_not_found", "pincode": "not_serviceable"}
"""A field beside the message that says what it is about, where no word did."""


def refusal(status: int, body: Json, *, doing: str = "") -> Refused:
    """The refusal that an error body means. `status` is HTTP's; failures told with 200 count as 422.

    `doing` is the operation where it changes the meaning: "cancel", or "warehouse" (registering one).
    """
    data = reading.record(body)
    said = words_of(body)
    return refused(_code(422 if status < 300 else status, data, said.lower(), doing), said)


def refused(code: str, said: str = "") -> Refused:
    """A `Refused` in a seller's words, followed by what Velocity said, cut to 300 characters of one line."""
    said = re.sub(r"<[^>]*>|\s+", " ", said).strip()[:300].rstrip(". ")
    return Refused(code, f"{WORDS[code]}: {said}." if said else f"{WORDS[code]}.")


def _code(status: int, data: Mapping[str, Json], said: str, doing: str) -> str:
    missing = MISSING.search(said) is not None
    if doing == "cancel":
        if ALREADY_CANCELLED.search(said):
            return "already_cancelled"
        if status in (409, 422) or "current_status" in data:
            return "shipment_not_found" if missing else "not_cancellable"
    elif DUPLICATE.search(said):
        return "duplicate_order"
    about_warehouse = doing != "warehouse" and ("warehouse" in said or "warehouse_id" in data)
    if about_warehouse and (status == 404 or (status == 400 and (missing or "invalid" in said))):
        return "warehouse_not_found"
    if status in BY_STATUS:
        return BY_STATUS[status]
    for code, keywords in KEYWORDS:
        if any(keyword in said for keyword in keywords):
            return code
    return next((code for name, code in BESIDE.items() if name in data), "refused")


def words_of(body: Json) -> str:
    """Whatever an error body says, as one line: message, field errors, the AWB and its status where named."""
    data = reading.record(body)
    nested = reading.record(data.get("error"))
    parts = [reading.first(data, "message", "error", "detail", "msg") or reading.first(nested, "message", "code")]
    payload = reading.record(data.get("payload"))
    parts.append("" if parts[0] else reading.first(payload, "message", "error", "error_message"))
    parts.extend(_field_errors(data.get("errors")))
    awb, state = reading.text(data.get("awb")), reading.text(data.get("current_status"))
    if awb or state:
        parts.append(" ".join(part for part in (f"AWB {awb}" if awb else "", f"is {state}" if state else "") if part))
    return "; ".join(part for part in parts if part)


def _field_errors(errors: Json) -> list[str]:
    """`{"zip": ["is too short"]}` → `["zip: is too short"]`; a bare list or text is taken as it is."""
    if not isinstance(errors, dict):
        return _texts(errors)
    return [
        f"{name}: {', '.join(_texts(said))}".rstrip(": ") for name, said in reading.record(cast(Json, errors)).items()
    ]


def _texts(value: Json) -> list[str]:
    items = cast(list[Json], value) if isinstance(value, list) else [value]
    return [found for item in items if (found := reading.text(item))]
