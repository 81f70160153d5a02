"""The HTTP face of api.flipkart.net: who is asked for what, and in which order a call is checked.

Operations (the names faults are armed under) stand in `ROUTES`; sign-in is `oauth.token`.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from shipcrowd.sandbox.faults import Faults, with_faults
from shipcrowd.sandbox.flipkart import fulfilment, limits, listings, oauth, returns, search, selfship
from shipcrowd.sandbox.flipkart.state import Seller, World
from shipcrowd.sandbox.flipkart.wire import Json, NotTaken

API = "/sellers"
OAUTH = "/oauth-service/oauth"
THROTTLED = {"errors": [{"severity": "ERROR", "code": "THROTTLED", "description": "throttled", "path": None}]}
NO_APPROVAL = {"error": "access_denied", "error_description": "Application is not approved for this seller"}


@dataclass(frozen=True)
class Call:
    """One call of the API, its token checked."""

    world: World
    seller: Seller
    method: str
    body: Json
    query: dict[str, str]
    accept: str
    captured: dict[str, str | None] = field(default_factory=dict[str, str | None])

    def __getitem__(self, name: str) -> str:
        return self.captured[name] or ""


Endpoint = Callable[[Call], "Json | list[Json] | Response"]


@dataclass(frozen=True)
class Route:
    operation: str
    methods: str
    path: re.Pattern[str]
    endpoint: Endpoint


def _route(operation: str, methods: str, path: str, endpoint: Endpoint) -> Route:
    return Route(operation, methods, re.compile(API + path), endpoint)


IDS = r"(?P<ids>[^/]+)"

ROUTES: tuple[Route, ...] = (
    _route(
        "shipments.filter", "POST", "/v3/shipments/filter", lambda it: search.first_page(it.world, it.seller, it.body)
    ),
    _route(
        "shipments.filter",
        "GET",
        "/v3/shipments/filter",
        lambda it: search.next_page(it.world, it.seller, it.query.get("next_token", "")),
    ),
    _route("shipments.read", "GET", "/v3/shipments", lambda it: search.read(it.world, it.seller, it.query)),
    _route("shipments.pack", "POST", "/v3/shipments/labels", lambda it: fulfilment.pack(it.world, it.seller, it.body)),
    _route(
        "shipments.acknowledge",
        "POST",
        "/v3/shipments/forms/updateAck",
        lambda it: fulfilment.acknowledge(it.world, it.seller, it.body),
    ),
    _route(
        "shipments.dispatch",
        "POST",
        "/v3/shipments/dispatch",
        lambda it: fulfilment.dispatch(it.world, it.seller, it.body),
    ),
    _route(
        "shipments.counts",
        "GET",
        "/v3/shipments/handover/counts",
        lambda it: fulfilment.counts(it.world, it.seller, it.query.get("locationId", "")),
    ),
    _route("shipments.manifest", "POST", "/v3/shipments/manifest", lambda it: fulfilment.manifest(it.seller, it.body)),
    _route(
        "shipments.otc",
        "GET",
        "/v3/shipments/otc/(?P<location>[^/]+)",
        lambda it: fulfilment.one_time_code(it.world, fulfilment.place(it.seller, it["location"])),
    ),
    _route(
        "shipments.cancel", "POST", "/v3/shipments/cancel", lambda it: fulfilment.cancel(it.world, it.seller, it.body)
    ),
    _route(
        "shipments.labels",
        "GET",
        f"/v3/shipments/{IDS}/labels",
        lambda it: fulfilment.labels(it.world, it.seller, it["ids"]),
    ),
    _route(
        "shipments.labels",
        "POST",
        f"/v3/shipments/{IDS}/labelOnly(?P<pdf>/pdf)?",
        lambda it: fulfilment.labels_only(
            it.world, it.seller, it["ids"], reprint=it.query.get("reprint") == "true", raw=not it["pdf"]
        ),
    ),
    _route(
        "shipments.invoices",
        "GET",
        f"/v3/shipments/{IDS}/invoices",
        lambda it: fulfilment.invoices(it.seller, it["ids"], it.accept),
    ),
    _route(
        "shipments.forms", "GET POST", f"/v3/shipments/{IDS}/forms", lambda it: fulfilment.forms(it.seller, it["ids"])
    ),
    _route(
        "selfship.dispatch",
        "POST",
        "/v3/shipments/selfShip/dispatch",
        lambda it: selfship.dispatch(it.world, it.seller, it.body),
    ),
    _route(
        "selfship.delivery",
        "POST",
        "/v3/shipments/selfShip/delivery",
        lambda it: selfship.delivery(it.world, it.seller, it.body),
    ),
    _route(
        "selfship.attempt",
        "POST",
        "/v3/shipments/selfShip/deliveryAttempt",
        lambda it: selfship.attempt(it.world, it.seller, it.body),
    ),
    _route(
        "selfship.update",
        "POST",
        f"/v3/shipments/{IDS}/update",
        lambda it: selfship.update(it.world, it.seller, it["ids"], it.body),
    ),
    _route(
        "shipments.details",
        "GET",
        f"/v3/shipments/{IDS}",
        lambda it: search.read_details(it.world, it.seller, it["ids"]),
    ),
    _route("returns.search", "GET", "/v2/returns", lambda it: returns.first_page(it.seller, it.query)),
    _route(
        "returns.search",
        "GET",
        "(/v2)?/returns/search/(?P<token>[^/]+)",
        lambda it: returns.next_page(it.seller, it["token"]),
    ),
    _route(
        "returns.act",
        "POST",
        "/v2/returns/(?P<verb>approve|reject|complete|cancel|pickup|pickupAttempt)",
        lambda it: returns.act(it.world, it.seller, it["verb"], it.body),
    ),
    _route("listings.search", "POST", "/listings/v3/search", lambda it: listings.find(it.seller, it.body)),
    _route(
        "listings.inventory",
        "POST",
        "/listings/v3/update/inventory",
        lambda it: listings.set_inventory(it.seller, it.body),
    ),
    _route("listings.price", "POST", "/listings/v3/update/price", lambda it: listings.set_price(it.seller, it.body)),
    _route(
        "listings.read",
        "GET",
        "/listings/v3/(?P<skus>.+)",
        lambda it: listings.read(it.world, it.seller, it["skus"]),
    ),
    _route("locations", "GET", "/locations/allLocations", lambda it: fulfilment.locations(it.world, it.seller)),
)
"""Who answers what; the first that fits."""

OPERATIONS = tuple(dict.fromkeys(("oauth.token", *(route.operation for route in ROUTES))))


async def answer(world: World, faults: Faults, request: Request, host: str, path: str) -> Response:
    """Any request to Flipkart's host."""
    world.settle()
    if path == f"{OAUTH}/authorize":
        if request.method == "POST":
            return oauth.consent_given(world, {key: str(value) for key, value in (await request.form()).items()})
        return oauth.consent_page(world, dict(request.query_params))
    if path == f"{OAUTH}/token":

        async def sign_in() -> Response:
            return oauth.token_response(world, request)

        return await with_faults(faults, request, "flipkart", ("oauth.token",), sign_in, throttled=THROTTLED)
    return await _api(world, faults, request, path)


async def _api(world: World, faults: Faults, request: Request, path: str) -> Response:
    fitting = [(route, match) for route in ROUTES if (match := route.path.fullmatch(path))]
    if not fitting:
        return _error(404, "NOT_FOUND", f"no resource at {path}")
    try:
        token = oauth.bearer(world, request.headers.get("authorization", ""))
    except oauth.BadGrant as refusal:
        return JSONResponse(refusal.body, refusal.status)
    if not limits.allows(world, token.seller.calls):
        return JSONResponse(THROTTLED, 429)
    if not token.seller.approved:
        return JSONResponse(NO_APPROVAL, 403)
    chosen = next(((route, match) for route, match in fitting if request.method in route.methods.split()), None)
    if chosen is None:
        return _error(405, "METHOD_NOT_ALLOWED", f"{request.method} is not allowed here")
    route, match = chosen
    body: Any = {}
    if request.method == "POST" and (raw := await request.body()):
        try:
            body = json.loads(raw)
        except ValueError:
            return _error(400, "INVALID_REQUEST_JSON", "the body is not JSON")
        if not isinstance(body, dict):
            return _error(400, "INVALID_REQUEST_JSON", "the body must be an object")
    call = Call(
        world,
        token.seller,
        request.method,
        cast(Json, body),
        dict(request.query_params),
        request.headers.get("accept", ""),
        match.groupdict(),
    )

    async def act() -> Response:
        try:
            answered = route.endpoint(call)
        except NotTaken as refusal:
            return JSONResponse(refusal.body, refusal.status)
        return answered if isinstance(answered, Response) else JSONResponse(answered)

    return await with_faults(faults, request, "flipkart", (route.operation,), act, throttled=THROTTLED)


def _error(status: int, code: str, description: str) -> Response:
    return JSONResponse(NotTaken(status, code, description).body, status)
