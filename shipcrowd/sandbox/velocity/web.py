"""The HTTP face of shazam.velocity.in and of the bucket its labels lie in."""

import json
import math
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from shipcrowd.kernel import clock
from shipcrowd.sandbox.faults import Faults, with_faults
from shipcrowd.sandbox.velocity import booking, journey, labels, lanes, replies
from shipcrowd.sandbox.velocity.booking import Body, NotTaken
from shipcrowd.sandbox.velocity.state import Parcel, Velocity

PREFIX = "/custom/api/v1/"
THROTTLED = {"error": "Too many requests. Please try again later."}
UNAUTHORIZED = {"error": "Invalid or expired token"}

MAX_CANCEL = 50
MAX_FINANCE = 100
MAX_TRACK = 100
MAX_LIST = 100

BUDGET: dict[str, tuple[int, int]] = {
    "auth-token": (10, 3600),
    "forward-order-orchestration": (100, 60),
    "forward-order": (100, 60),
    "forward-order-shipment": (100, 60),
    "reverse-order-orchestration": (50, 60),
    "reverse-order": (50, 60),
    "reverse-order-shipment": (50, 60),
    "order-tracking": (100, 60),
    "cancel-order": (50, 60),
    "serviceability": (200, 60),
    "warehouse": (20, 60),
    "reports": (20, 60),
    "cod-remittance": (5, 60),
    "shipping-charges": (5, 60),
}
"""Endpoint → (calls, seconds) an account may make. Kept only when the `enforce_budget` knob is on."""

Answer = Mapping[str, object]
Endpoint = Callable[[Velocity, str, Body], Answer]


async def answer(world: Velocity, faults: Faults, request: Request, host: str, path: str) -> Response:
    """Any request to the API's host."""
    operation = path.removeprefix(PREFIX) if path.startswith(PREFIX) else ""
    method = "PUT" if operation == "order" else "POST"
    if operation not in ENDPOINTS and operation != "auth-token":
        return JSONResponse({"error": "Not Found"}, 404)
    if request.method != method:
        return JSONResponse({"error": "Method Not Allowed"}, 405)
    journey.settle(world)
    account: str | None = None
    if operation != "auth-token":
        account = _account(world, request.headers.get("authorization", ""))
        if account is None:
            return JSONResponse(UNAUTHORIZED, 401)
    try:
        body = json.loads(await request.body())
    except ValueError:
        return JSONResponse({"message": "Request body is not valid JSON"}, 400)
    if not isinstance(body, dict):
        return JSONResponse({"message": "Request body must be an object"}, 400)
    asked = cast(dict[str, Any], body)

    async def act() -> Response:
        who = account or str(asked.get("username", ""))
        if (wait := _over_budget(world, who, operation)) is not None:
            return JSONResponse(THROTTLED, 429, {"Retry-After": str(wait)})
        try:
            if account is None:
                return JSONResponse(_sign_in(world, asked))
            return JSONResponse(dict(ENDPOINTS[operation](world, account, asked)))
        except NotTaken as refusal:
            return JSONResponse(refusal.body, refusal.status)

    return await with_faults(faults, request, "velocity", (operation,), act, throttled=THROTTLED)


# --- accounts -------------------------------------------------------------------------------------------------


def _account(world: Velocity, token: str) -> str | None:
    """Whose token this is. It stands in the header alone: `Bearer …` is not known here."""
    found = world.tokens.get(token)
    return found[0] if found and found[1] > clock.now() else None


def _sign_in(world: Velocity, body: Body) -> Answer:
    username, password = str(body.get("username") or ""), str(body.get("password") or "")
    if not username or not password:
        raise NotTaken(400, {"error": "username and password are mandatory"})
    if world.accounts.get(username) != password:
        raise NotTaken(401, {"error": "Invalid username or password"})
    token = world.token()
    expires = clock.now() + timedelta(seconds=world.knobs.token_seconds)
    world.tokens[token] = (username, expires)
    return {"token": token, "expires_at": clock.ist(expires).strftime("%Y-%m-%dT%H:%M:%S")}


def _over_budget(world: Velocity, account: str, operation: str) -> int | None:
    """Seconds to wait, when this call would be one too many."""
    if not world.knobs.enforce_budget or operation not in BUDGET:
        return None
    allowed, seconds = BUDGET[operation]
    now = clock.now()
    calls = world.calls.setdefault((account, operation), deque())
    while calls and calls[0] <= now - timedelta(seconds=seconds):
        calls.popleft()
    if len(calls) >= allowed:
        return math.ceil((calls[0] + timedelta(seconds=seconds) - now).total_seconds())
    calls.append(now)
    return None


# --- endpoints ------------------------------------------------------------------------------------------------


def warehouse(world: Velocity, account: str, body: Body) -> Answer:
    made = booking.register_warehouse(world, account, body)
    return {"status": "SUCCESS", "payload": {"warehouse_id": made.id}}


def serviceability(world: Velocity, account: str, body: Body) -> Answer:
    booking.validate(body, {"from": booking.FORWARD["billing_pincode"], "to": booking.FORWARD["billing_pincode"]})
    mode, kind = str(body.get("payment_mode", "")), str(body.get("shipment_type", ""))
    if mode not in ("cod", "prepaid"):
        raise NotTaken(
            400, {"message": "payment_mode must be cod or prepaid", "errors": {"payment_mode": ["is invalid"]}}
        )
    if kind not in ("forward", "return"):
        raise NotTaken(
            400, {"message": "shipment_type must be forward or return", "errors": {"shipment_type": ["is invalid"]}}
        )
    origin, destination = str(body["from"]), str(body["to"])
    able = lanes.carriers(world, origin, destination, cod=mode == "cod", flow=kind)
    if not able and not world.knobs.unserviceable_as_empty:
        text = f"Pincode is not serviceable: {origin} to {destination}"
        raise NotTaken(422, {"message": text, "pincode": destination, "available_carriers": []})
    results = [{"carrier_id": one.id, "carrier_name": one.name} for one in able]
    zone = lanes.zone(origin, destination) if able else None
    return {"result": {"serviceability_results": results, "zone": zone}, "status": "SUCCESS"}


def forward_order_orchestration(world: Velocity, account: str, body: Body) -> Answer:
    parcel = booking.take_forward(world, account, body)
    booking.assign(world, parcel, body.get("carrier_id"))
    return {"status": 1, "payload": replies.booked(world, parcel)}


def forward_order(world: Velocity, account: str, body: Body) -> Answer:
    return {"status": 1, "payload": replies.taken(booking.take_forward(world, account, body))}


def forward_order_shipment(world: Velocity, account: str, body: Body) -> Answer:
    parcel = _waiting(world, account, lambda one: one.shipment_id == body.get("shipment_id"), "shipment_id", body)
    booking.assign(world, parcel, body.get("carrier_id"))
    return {"status": 1, "payload": replies.booked(world, parcel)}


def reverse_order_orchestration(world: Velocity, account: str, body: Body) -> Answer:
    parcel = booking.take_reverse(world, account, body)
    booking.assign(world, parcel, body.get("carrier_id"))
    return {"status": 1, "payload": replies.return_booked(parcel, in_one_step=True)}


def reverse_order(world: Velocity, account: str, body: Body) -> Answer:
    return {"status": 1, "payload": replies.taken(booking.take_reverse(world, account, body))}


def reverse_order_shipment(world: Velocity, account: str, body: Body) -> Answer:
    parcel = _waiting(world, account, lambda one: one.return_id == body.get("return_id"), "return_id", body)
    if body.get("warehouse_id") != parcel.warehouse.id:
        status = world.knobs.missing_warehouse_status
        raise NotTaken(status, {"message": "Warehouse not found", "warehouse_id": body.get("warehouse_id")})
    booking.assign(world, parcel, body.get("carrier_id"))
    return {"status": 1, "payload": replies.return_booked(parcel, in_one_step=False)}


def _waiting(world: Velocity, account: str, fits: Callable[[Parcel], bool], name: str, body: Body) -> Parcel:
    if not body.get(name):
        raise NotTaken(400, {"message": f"{name} can't be blank", "errors": {name: ["can't be blank"]}})
    found = next((one for one in world.parcels if one.account == account and fits(one)), None)
    if found is None:
        raise NotTaken(404, {"message": "Shipment not found", name: body[name]})
    return found


def cancel_order(world: Velocity, account: str, body: Body) -> Answer:
    """All of them, or none: one that cannot be cancelled refuses the whole call."""
    awbs = _awbs(body, MAX_CANCEL)
    found: list[Parcel] = []
    for awb in awbs:
        parcel = _own(world, account, awb)
        if parcel is None:
            raise NotTaken(422, {"message": "Shipment cancellation failed: shipment not found", "awb": awb})
        if parcel.status not in journey.CANCELLABLE and "CANCEL" not in parcel.status:
            text = "Shipment cancellation failed: shipment cannot be cancelled"
            raise NotTaken(422, {"message": text, "awb": awb, "current_status": parcel.status})
        found.append(parcel)
    journey.ask_to_cancel(world, found)
    return {"message": "Bulk Shipment cancellation is in progress. Please wait for some time."}


def order_tracking(world: Velocity, account: str, body: Body) -> Answer:
    result: dict[str, object] = {}
    for awb in _awbs(body, MAX_TRACK):
        parcel = _own(world, account, awb)
        result[awb] = replies.tracking(parcel) if parcel else {"error": f"No shipment found for AWB {awb}"}
    return {"result": result}


def reports(world: Velocity, account: str, body: Body) -> Answer:
    kind = str(body.get("shipment_type", ""))
    start, end = _moment(body, "start_date_time"), _moment(body, "end_date_time")
    if kind not in ("forward", "return"):
        raise NotTaken(400, {"message": "shipment_type must be forward or return"})
    inside = [
        one for one in world.parcels
        if one.account == account and one.flow == kind and one.awb and booking.made_between(one, start, end)
    ]  # fmt: skip
    payload = replies.report(inside, kind, str(body["start_date_time"]), str(body["end_date_time"]))
    return {"status": "SUCCESS", "payload": payload}


def order(world: Velocity, account: str, body: Body) -> Answer:
    parcel = booking.change(world, account, body)
    return {"status": 1, "payload": {"order_id": parcel.courier_order_id, "shipment_id": parcel.shipment_id}}


def reattempt(world: Velocity, account: str, body: Body) -> Answer:
    parcel = _failed(world, account, body)
    if sum(scan.status in journey.FAILED for scan in parcel.scans) > 2:
        raise NotTaken(422, {"message": "Reattempt is not allowed after the maximum number of attempts"})
    journey.scan(world, parcel, "IN TRANSIT", remark="Reattempt requested")
    return _done("Reattempt initiated successfully", parcel)


def initiate_rto(world: Velocity, account: str, body: Body) -> Answer:
    parcel = _failed(world, account, body)
    journey.send_back(world, parcel)
    return _done("RTO initiated successfully", parcel)


def _failed(world: Velocity, account: str, body: Body) -> Parcel:
    parcel = _own(world, account, str(body.get("awb", "")))
    if parcel is None:
        raise NotTaken(404, {"message": "Shipment not found", "awb": body.get("awb")})
    if parcel.status not in journey.FAILED:
        text = "Action is allowed only for shipments in NDR state"
        raise NotTaken(422, {"message": text, "awb": parcel.awb, "current_status": parcel.status})
    return parcel


def _done(message: str, parcel: Parcel) -> Answer:
    return {"success": True, "message": message, "data": {"awb": parcel.awb}}


def shipments(world: Velocity, account: str, body: Body) -> Answer:
    return _list(world, account, body, "forward")


def returns(world: Velocity, account: str, body: Body) -> Answer:
    return _list(world, account, body, "return")


def _list(world: Velocity, account: str, body: Body, flow: str) -> Answer:
    """Newest first. `search` looks in order ids and AWBs. The page is `page: 2` or `page: {number: 2}`."""
    page: Any = body.get("page", 1)
    number = int(cast(Mapping[str, Any], page).get("number", 1) if isinstance(page, dict) else page)
    per_page = min(int(body.get("per_page", 20)), MAX_LIST)
    wanted = str(body.get("search") or "").lower()
    found = [
        one for one in reversed(world.parcels)
        if one.account == account and one.flow == flow
        and (not wanted or wanted in f"{one.order_id} {one.courier_order_id} {one.awb or ''}".lower())
    ]  # fmt: skip
    rows = found[(number - 1) * per_page : number * per_page]
    meta = {"current_page": number, "per_page": per_page, "total": len(found), "next_search_after": None}
    return {"data": [replies.listed(one) for one in rows], "meta": meta}


def cod_remittance(world: Velocity, account: str, body: Body) -> Answer:
    def row(parcel: Parcel) -> Answer:
        if not parcel.cod:
            return {"tracking_number": parcel.awb, "error": f"AWB {parcel.awb} is a prepaid order."}
        return replies.remittance(parcel)

    return {"data": _per_awb(world, account, body, row)}


def shipping_charges(world: Velocity, account: str, body: Body) -> Answer:
    return {"data": _per_awb(world, account, body, replies.ledger)}


def _per_awb(world: Velocity, account: str, body: Body, row: Callable[[Parcel], Answer]) -> list[Answer]:
    awbs = list(dict.fromkeys(_awbs(body, MAX_FINANCE)))
    found = [(awb, _own(world, account, awb)) for awb in awbs]
    return [
        row(parcel) if parcel else {"tracking_number": awb, "error": f"AWB {awb} does not exist in your account."}
        for awb, parcel in found
    ]


ENDPOINTS: dict[str, Endpoint] = {
    "warehouse": warehouse,
    "serviceability": serviceability,
    "forward-order-orchestration": forward_order_orchestration,
    "forward-order": forward_order,
    "forward-order-shipment": forward_order_shipment,
    "reverse-order-orchestration": reverse_order_orchestration,
    "reverse-order": reverse_order,
    "reverse-order-shipment": reverse_order_shipment,
    "cancel-order": cancel_order,
    "order-tracking": order_tracking,
    "reports": reports,
    "order": order,
    "reattempt": reattempt,
    "initiate-rto": initiate_rto,
    "shipments": shipments,
    "returns": returns,
    "cod-remittance": cod_remittance,
    "shipping-charges": shipping_charges,
}


def _awbs(body: Body, most: int) -> list[str]:
    awbs = body.get("awbs")
    if not awbs:
        raise NotTaken(400, {"message": "awbs is mandatory", "error": "awbs is mandatory"})
    if not isinstance(awbs, list):
        raise NotTaken(400, {"message": "awbs must be an array", "error": "awbs must be an array"})
    listed = [str(awb) for awb in cast(list[object], awbs)]
    if len(listed) > most:
        text = f"AWB maximum limit is {most}"
        raise NotTaken(400, {"message": text, "error": text})
    return listed


def _own(world: Velocity, account: str, awb: str) -> Parcel | None:
    found = world.by_awb.get(awb)
    return found if found and found.account == account else None


def _moment(body: Body, name: str) -> datetime:
    try:
        at = datetime.fromisoformat(str(body.get(name, "")))
    except ValueError as error:
        raise NotTaken(400, {"message": f"{name} is invalid", "errors": {name: ["is invalid"]}}) from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


# --- labels ---------------------------------------------------------------------------------------------------

NO_SUCH_KEY = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>'  # noqa: E501
ACCESS_DENIED = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>'  # noqa: E501


async def label(world: Velocity, faults: Faults, request: Request, host: str, path: str) -> Response:
    """A file of the label bucket, behind a link that works for a week."""
    key = path.strip("/")
    parcel = next((one for one in world.parcels if one.label_key and one.label_key == key), None)
    if parcel is None:
        return Response(NO_SUCH_KEY, 404, media_type="application/xml")
    query = request.query_params
    if labels.expired(query.get("X-Amz-Date", ""), query.get("X-Amz-Expires", "")):
        return Response(ACCESS_DENIED, 403, media_type="application/xml")

    async def act() -> Response:
        name = f'inline; filename="{parcel.awb}_shipping_label.pdf"'
        return Response(labels.pdf(parcel), media_type="application/pdf", headers={"Content-Disposition": name})

    return await with_faults(faults, request, "velocity", ("label",), act, throttled=THROTTLED)
