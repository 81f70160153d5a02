"""The HTTP face of a myshopify.com host: what is checked before a call is answered, and with which status."""

import json
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from shipcrowd.kernel import clock
from shipcrowd.kernel.ids import new_id
from shipcrowd.sandbox.faults import Faults, with_faults
from shipcrowd.sandbox.schemas import Mode
from shipcrowd.sandbox.shopify import bulk, graphql, oauth
from shipcrowd.sandbox.shopify.call import Call
from shipcrowd.sandbox.shopify.state import Shop, Shopify, Token

SUPPORTED = ("2026-01", "2026-04", "2026-07", "2026-10", "2027-01")
"""Versions served today: four stable ones and the release candidate. An older one falls forward to the oldest."""

THROTTLED = {
    "errors": "Exceeded 2 calls per second for api client. Reduce request rates to resume uninterrupted service."
}
BAD_TOKEN = {"errors": "[API] Invalid API key or access token (unrecognized login or wrong password)"}
NON_EXPIRING = {
    "errors": "Non-expiring access tokens are no longer accepted for the Admin API. "
    "Use expiring offline access tokens instead."
}
CLOSED = {
    Mode.frozen: (402, {"errors": "Unavailable Shop"}),
    Mode.locked: (423, {"errors": "This shop is unavailable"}),
    Mode.gone: (404, {"errors": "Not Found"}),
}


async def answer(world: Shopify, faults: Faults, request: Request, host: str, path: str) -> Response:
    """Any request to a shop's host. `path` starts with a slash and has lost the host in front."""
    shop = world.shops.get(host.lower())
    if shop is None or shop.mode is Mode.gone:
        return JSONResponse({"errors": "Not Found"}, 404)
    if path == "/admin/oauth/authorize":
        if request.method == "POST":
            form = {key: str(value) for key, value in (await request.form()).items()}
            return oauth.consent_given(world, shop, form)
        return oauth.consent_page(world, shop, dict(request.query_params))
    if path == "/admin/oauth/access_token" and request.method == "POST":
        return await _token(world, faults, request, shop)
    parts = path.strip("/").split("/")
    if parts[:2] == ["admin", "api"] and parts[3:] == ["graphql.json"] and request.method == "POST":
        reply = await _graphql(world, faults, request, shop, parts[2])
        reply.headers["X-Request-Id"] = str(new_id())
        return reply
    return JSONResponse({"errors": "Not Found"}, 404)


async def _token(world: Shopify, faults: Faults, request: Request, shop: Shop) -> Response:
    try:
        params = await oauth.token_request(request)
    except oauth.BadGrant as refusal:
        return JSONResponse(refusal.body, refusal.status)

    async def act() -> Response:
        return oauth.token_response(world, shop, params)

    return await with_faults(faults, request, "shopify", ("oauth.token",), act, throttled=THROTTLED)


async def _graphql(world: Shopify, faults: Faults, request: Request, shop: Shop, asked_version: str) -> Response:
    version = served_version(asked_version)
    if version is None:
        return JSONResponse({"errors": "Not Found"}, 404)
    headers = {"X-Shopify-API-Version": version}
    if shop.mode in CLOSED:
        status, body = CLOSED[shop.mode]
        return JSONResponse(body, status, headers)
    token = shop.tokens.get(request.headers.get("x-shopify-access-token", ""))
    if token is None or not _alive(token):
        return JSONResponse(BAD_TOKEN, 401, headers)
    if token.expires_at is None and token.app.public and world.knobs.refuse_non_expiring:
        return JSONResponse(NON_EXPIRING, 403, headers)
    try:
        body = json.loads(await request.body())
    except ValueError:
        return JSONResponse({"errors": "Bad Request"}, 400, headers)
    if not isinstance(body, dict) or not isinstance(cast(dict[str, Any], body).get("query"), str):
        return JSONResponse({"errors": {"query": "Required parameter missing or invalid"}}, 400, headers)
    asked = cast(dict[str, Any], body)
    try:
        document, operation = graphql.read(asked["query"], asked.get("operationName"))
    except graphql.BadDocument as bad:
        return JSONResponse(bad.body, 200, headers)
    call = Call(world, shop, token.app, token.scopes, version, clock.now(), asked.get("variables") or {})

    async def act() -> Response:
        return JSONResponse(graphql.run(call, document, operation), 200, headers)

    operations = ("graphql", *graphql.root_fields(operation))
    return await with_faults(faults, request, "shopify", operations, act, throttled=THROTTLED)


def served_version(asked: str) -> str | None:
    """The version really served: an expired one falls forward to the oldest supported. None for what never was."""
    if asked in (*SUPPORTED, "unstable"):
        return asked
    year, _, month = asked.partition("-")
    if year.isdigit() and month in ("01", "04", "07", "10") and asked < SUPPORTED[0]:
        return SUPPORTED[0]
    return None


def _alive(token: Token) -> bool:
    return token.expires_at is None or token.expires_at > clock.now()


async def bulk_file(world: Shopify, path: str) -> Response:
    """The file host a bulk operation's `url` points to."""
    folder, _, name = path.strip("/").rpartition("/")
    content = bulk.file(world, name) if folder == bulk.FOLDER else None
    if content is None:
        return PlainTextResponse("NoSuchKey", 404)
    return Response(content, media_type="application/jsonl")
