"""Sign-in: the consent page, codes, tokens, refresh. The token endpoint is called with GET, and with GET only.

A token that lives is handed out again rather than a new one beside it, with the seconds it has left. The refresh token
counts from the sign-in: after 180 days the seller has to sign in again, however often it was used.
"""

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from jinja2 import Environment, FileSystemLoader, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from shipcrowd.kernel import clock
from shipcrowd.sandbox.flipkart.state import App, Code, Seller, Token, World
from shipcrowd.sandbox.letters import on_this_machine

PAGES = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=select_autoescape(["html"]))

SCOPE = "Seller_Api"
CODE_LIFE = timedelta(minutes=10)
MOST_CODES = 1000
NOT_ALLOWED_PAGE = (
    "<!DOCTYPE html>\n<html><head><title>405</title></head><body><h1>Method Not Allowed</h1></body></html>"
)


class BadGrant(Exception):
    """The endpoint refuses; `code` is OAuth's error word."""

    def __init__(self, code: str, description: str, status: int = 401) -> None:
        super().__init__(description)
        self.body = {"error": code, "error_description": description}
        self.status = status


# --- consent --------------------------------------------------------------------------------------------------


def consent_page(world: World, query: Mapping[str, str]) -> Response:
    """The page on which a seller signs in and allows an application; an error for one that cannot ask."""
    try:
        app = asking_app(world, query)
    except BadGrant as refusal:
        return JSONResponse(refusal.body, refusal.status)
    page = PAGES.get_template("consent.html").render(
        app=app, sellers=list(world.sellers.values()), query=dict(query), host=urlsplit(query["redirect_uri"]).netloc
    )
    return HTMLResponse(page)


def consent_given(world: World, form: Mapping[str, str]) -> Response:
    """The seller pressed Allow (or not): back to the application."""
    try:
        app = asking_app(world, form)
    except BadGrant as refusal:
        return JSONResponse(refusal.body, refusal.status)
    seller = world.sellers.get(form.get("seller", ""))
    if form.get("decision") != "allow" or seller is None:
        return RedirectResponse(_back(form, {"error": "access_denied", "error_description": "User denied access"}), 302)
    return RedirectResponse(callback_url(world, app, seller, form), 302)


def asking_app(world: World, query: Mapping[str, str]) -> App:
    """The application a consent page is for; raises BadGrant.

    Redirects must be https, as Flipkart demands; plain http is taken for a loopback address alone, and nobody is
    sent off this machine.
    """
    app = world.apps.get(query.get("client_id", ""))
    if app is None:
        raise BadGrant("unauthorized", f"No client with requested id: {query.get('client_id', '')}")
    if app.seller is not None:
        raise BadGrant("unauthorized_client", "Unauthorized grant type: authorization_code", 400)
    if query.get("response_type") != "code":
        raise BadGrant("unsupported_response_type", "Unsupported response types", 400)
    if SCOPE not in query.get("scope", "").split(","):
        raise BadGrant("invalid_scope", f"Invalid scope: {query.get('scope', '')}", 400)
    uri = query.get("redirect_uri", "")
    if not world.postman.reaches(uri) or not (uri.startswith("https://") or on_this_machine(uri)):
        raise BadGrant("redirect_uri_mismatch", "The redirect_uri is not registered, or not https", 400)
    return app


def callback_url(world: World, app: App, seller: Seller, query: Mapping[str, str]) -> str:
    """Where the browser is sent after consent: with a code that works once, and the state as it came."""
    now = clock.now()
    world.codes = {value: one for value, one in world.codes.items() if one.expires_at > now}
    while len(world.codes) >= MOST_CODES:
        del world.codes[next(iter(world.codes))]
    value = world.hexadecimal(12)
    world.codes[value] = Code(app, seller, query["redirect_uri"], now + CODE_LIFE)
    return _back(query, {"code": value})


def _back(query: Mapping[str, str], params: Mapping[str, str]) -> str:
    uri = query["redirect_uri"]
    echoed = {"state": query["state"]} if "state" in query else {}
    return f"{uri}{'&' if urlsplit(uri).query else '?'}{urlencode({**params, **echoed})}"


# --- tokens ---------------------------------------------------------------------------------------------------


def token_response(world: World, request: Request) -> Response:
    """The answer of the token endpoint."""
    if request.method != "GET":
        return HTMLResponse(NOT_ALLOWED_PAGE, 405)
    try:
        app = _client(world, request.headers.get("authorization", ""))
        return JSONResponse(_granted(world, app, dict(request.query_params)))
    except BadGrant as refusal:
        return JSONResponse(refusal.body, refusal.status)


def _client(world: World, authorization: str) -> App:
    scheme, _, sent = authorization.partition(" ")
    try:
        app_id, _, secret = base64.b64decode(sent, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        scheme = app_id = secret = ""
    if scheme.lower() != "basic":
        raise BadGrant("unauthorized", "Full authentication is required to access this resource")
    app = world.apps.get(app_id)
    if app is None:
        raise BadGrant("unauthorized", f"No client with requested id: {app_id}")
    if app.secret != secret:
        raise BadGrant("unauthorized", "Bad credentials")
    return app


def _granted(world: World, app: App, query: Mapping[str, str]) -> dict[str, object]:
    match query.get("grant_type"):
        case "client_credentials":
            if SCOPE not in query.get("scope", "").split(","):
                raise BadGrant("invalid_scope", f"Invalid scope: {query.get('scope', '')}", 400)
            if app.seller is None:
                raise BadGrant("invalid_client", "Unauthorized grant type: client_credentials")
            return _shown(_access(world, app, app.seller), None)
        case "authorization_code":
            code = world.codes.pop(query.get("code", ""), None)
            if code is None or code.app is not app or code.expires_at <= clock.now():
                raise BadGrant("invalid_grant", f"Invalid authorization code: {query.get('code', '')}", 400)
            if query.get("redirect_uri") != code.redirect_uri:
                raise BadGrant("invalid_grant", "Redirect URI mismatch.", 400)
            return _shown(_access(world, app, code.seller), _refresh(world, app, code.seller))
        case "refresh_token":
            return _refreshed(world, app, query.get("refresh_token", ""))
        case other:
            raise BadGrant("unsupported_grant_type", f"Unsupported grant type: {other}", 400)


def _refreshed(world: World, app: App, value: str) -> dict[str, object]:
    used = world.refreshes.get(value)
    if used is None or used.app is not app:
        raise BadGrant("invalid_grant", f"Invalid refresh token: {value}", 400)
    if used.expires_at <= clock.now():
        del world.refreshes[value]
        raise BadGrant("invalid_token", f"Invalid refresh token (expired): {value}")
    # A refresh always makes a new access token; the one before dies with it.
    _forget(world.tokens, app, used.seller)
    access = _access(world, app, used.seller)
    match world.knobs.refresh_returns:
        case "same":
            return _shown(access, used)
        case "new":
            _forget(world.refreshes, app, used.seller)
            return _shown(access, _refresh(world, app, used.seller))
        case "none":
            return _shown(access, None)


def _access(world: World, app: App, seller: Seller) -> Token:
    return _living(world, world.tokens, app, seller, world.knobs.access_token_seconds)


def _refresh(world: World, app: App, seller: Seller) -> Token:
    return _living(world, world.refreshes, app, seller, world.knobs.refresh_token_seconds)


def _living(world: World, kept: dict[str, Token], app: App, seller: Seller, seconds: int) -> Token:
    now = clock.now()
    for one in kept.values():
        if one.app is app and one.seller is seller and one.expires_at > now:
            return one
    _forget(kept, app, seller)
    made = Token(world.uuid(), app, seller, now + timedelta(seconds=seconds))
    kept[made.value] = made
    return made


def _forget(kept: dict[str, Token], app: App | None, seller: Seller) -> None:
    for value in [one.value for one in kept.values() if one.seller is seller and app in (None, one.app)]:
        del kept[value]


def revoke(world: World, seller: Seller) -> None:
    """The seller withdraws every application's access: tokens and refresh tokens die."""
    _forget(world.tokens, None, seller)
    _forget(world.refreshes, None, seller)
    world.codes = {value: one for value, one in world.codes.items() if one.seller is not seller}


def _shown(access: Token, refresh: Token | None) -> dict[str, object]:
    shown: dict[str, object] = {
        "access_token": access.value,
        "token_type": "bearer",
        "expires_in": _left(access.expires_at),
        "scope": SCOPE,
    }
    if refresh:
        shown |= {"refresh_token": refresh.value, "refresh_token_expires_in": _left(refresh.expires_at)}
    return shown


def _left(until: datetime) -> int:
    # A freshly minted token of 60 days shows 5183999.
    return max(int((until - clock.now()).total_seconds()) - 1, 0)


def bearer(world: World, authorization: str) -> Token:
    """The living token of an API call; raises BadGrant."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "bearer" or not value:
        raise BadGrant("unauthorized", "Full authentication is required to access this resource")
    token = world.tokens.get(value)
    if token is None:
        raise BadGrant("invalid_token", f"Invalid access token: {value}")
    if token.expires_at <= clock.now():
        raise BadGrant("invalid_token", f"Access token expired: {value}")
    return token
