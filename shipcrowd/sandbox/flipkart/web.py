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
from shipcrowd.sandbox.flipkart import limits, oauth, search
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
    captured: dict[str, str] = field(default_factory=dict[str, str])

    def __getitem__(self, name: str) -> str:
        return self.captured[name]


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
        "shipments.filter",
        "POST",
        "/v3/shipments/filter",
        lambda call: search.first_page(call.world, call.seller, call.body),
    ),
    _route(
        "shipments.filter",
        "GET",
        "/v3/shipments/filter",
        lambda call: search.next_page(call.world, call.seller, call.query.get("next_token", "")),
    ),
    _route("shipments.read", "GET", "/v3/shipments", lambda call: search.read(call.world, call.seller, call.query)),
    _route(
        "shipments.details",
        "GET",
        f"/v3/shipments/{IDS}",
        lambda call: search.read_details(call.world, call.seller, call["ids"]),
    ),
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
