"""Sign-in at a shop: the consent page, codes, expiring tokens and their rotation.

The rules are those of 2026: an offline access token lives an hour; its refresh token lives 90 days and is replaced at
every use; the one before stays usable until its replacement is used (at most 30 days, for an answer that got lost).
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from jinja2 import Environment, FileSystemLoader, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from shipcrowd.kernel import clock
from shipcrowd.sandbox.shopify.orders import App
from shipcrowd.sandbox.shopify.state import Refresh, Shop, Shopify, Token

PAGES = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=select_autoescape(["html"]))

CODE_LIFE = timedelta(minutes=10)
LOST_ANSWER_LIFE = timedelta(days=30)
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
OFFLINE = "urn:shopify:params:oauth:token-type:offline-access-token"

SCOPE_WORDS = {
    "orders": "Orders",
    "all_orders": "Orders older than 60 days",
    "products": "Products",
    "inventory": "Inventory",
    "locations": "Locations",
    "customers": "Customers",
    "returns": "Returns",
    "merchant_managed_fulfillment_orders": "Fulfilment orders at your locations",
    "third_party_fulfillment_orders": "Fulfilment orders at other services",
    "assigned_fulfillment_orders": "Fulfilment orders assigned to this app",
}


class BadGrant(Exception):
    """The token endpoint refuses; `code` is OAuth's error word."""

    def __init__(self, code: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.body = {"error": code, "error_description": description}
        self.status = status


# --- consent --------------------------------------------------------------------------------------------------


def consent_page(world: Shopify, shop: Shop, query: Mapping[str, str]) -> Response:
    """The page a merchant sees before an app is installed; 400 for an unknown app or a redirect it never named."""
    app = world.apps.get(query.get("client_id", ""))
    redirect_uri = query.get("redirect_uri", "")
    if app is None:
        return _oauth_error("invalid_request", "Could not find Shopify API application with api_key")
    if not _allowed_redirect(world, redirect_uri):
        return _oauth_error("invalid_request", "The redirect_uri is not whitelisted")
    scopes = _scopes(query.get("scope", ""))
    page = PAGES.get_template("consent.html").render(
        app=app, shop=shop, grants=_in_words(scopes), query=dict(query), host=urlsplit(redirect_uri).netloc
    )
    return HTMLResponse(page)


def consent_given(world: Shopify, shop: Shop, form: Mapping[str, str]) -> Response:
    """The merchant pressed Install (or not): back to the app, with a code that works once within ten minutes."""
    if form.get("decision") != "install":
        return HTMLResponse("<!DOCTYPE html><title>Not installed</title><p>The app was not installed.</p>")
    app = world.apps.get(form.get("client_id", ""))
    redirect_uri = form.get("redirect_uri", "")
    if app is None or not _allowed_redirect(world, redirect_uri):
        return _oauth_error("invalid_request", "The redirect_uri is not whitelisted")
    return RedirectResponse(callback_url(world, shop, app, form), status_code=302)


def callback_url(world: Shopify, shop: Shop, app: App, query: Mapping[str, str]) -> str:
    """Where the browser is sent after consent: the app's redirect_uri with a signed query."""
    code = world.secret("")
    scopes = _granted(_scopes(query.get("scope", "")) - world.knobs.withhold_scopes)
    shop.codes[code] = (app, scopes, query.get("redirect_uri", ""), clock.now() + CODE_LIFE)
    admin = f"admin.shopify.com/store/{shop.domain.split('.')[0]}"
    params = {
        "code": code,
        "host": base64.b64encode(admin.encode()).decode().rstrip("="),
        "shop": shop.domain,
        "state": query.get("state", ""),
        "timestamp": str(int(clock.now().timestamp())),
    }
    signed = {**params, "hmac": sign_query(app.client_secret, params)}
    joiner = "&" if urlsplit(query["redirect_uri"]).query else "?"
    return f"{query['redirect_uri']}{joiner}{urlencode(signed)}"


def sign_query(secret: str, params: Mapping[str, str]) -> str:
    """Hex HMAC-SHA256 over the decoded parameters, sorted, as `key=value` joined by `&`."""
    pairs = [
        f"{key.replace('%', '%25').replace('=', '%3D')}={value.replace('%', '%25')}".replace("&", "%26")
        for key, value in params.items()
    ]
    return hmac.new(secret.encode(), "&".join(sorted(pairs)).encode(), hashlib.sha256).hexdigest()


def _allowed_redirect(world: Shopify, uri: str) -> bool:
    """Only to this machine, or to a host a test serves in its own process: the sandbox sends nobody elsewhere."""
    return world.postman.reaches(uri)


def _scopes(text: str) -> frozenset[str]:
    return frozenset(one.strip() for one in text.split(",") if one.strip())


def _granted(scopes: frozenset[str]) -> frozenset[str]:
    """As Shopify lists them: a write scope stands for its read scope, which is then left out."""
    implied = {one.replace("write_", "read_", 1) for one in scopes if one.startswith("write_")}
    return scopes - implied


def _in_words(scopes: frozenset[str]) -> list[str]:
    nouns: dict[str, set[str]] = {}
    for scope in sorted(scopes):
        verb, _, noun = scope.partition("_")
        nouns.setdefault(noun, set()).add(verb)
    return [
        f"{'View and edit' if 'write' in verbs else 'View'}: {SCOPE_WORDS.get(noun, noun.replace('_', ' '))}"
        for noun, verbs in nouns.items()
    ]


def _oauth_error(code: str, message: str) -> Response:
    return HTMLResponse(f"<!DOCTYPE html><title>Oauth error</title><p>Oauth error {code}: {message}</p>", 400)


# --- tokens ---------------------------------------------------------------------------------------------------


async def token_request(request: Request) -> dict[str, str]:
    """The parameters, from a form or from JSON."""
    if request.headers.get("content-type", "").startswith("application/json"):
        try:
            body = json.loads(await request.body())
        except ValueError as error:
            raise BadGrant("invalid_request", "The body is not JSON") from error
        return {str(key): str(value) for key, value in body.items()} if isinstance(body, dict) else {}  # pyright: ignore
    return {key: str(value) for key, value in (await request.form()).items()}


def token_response(world: Shopify, shop: Shop, params: Mapping[str, str]) -> Response:
    """The token endpoint, for all three grants."""
    try:
        app = _authenticated(world, params)
        match params.get("grant_type"):
            case None | "authorization_code":
                return JSONResponse(_for_code(world, shop, app, params))
            case "refresh_token":
                return JSONResponse(_for_refresh_token(world, shop, app, params))
            case value if value == EXCHANGE:
                return JSONResponse(_for_old_token(world, shop, app, params))
            case _:
                raise BadGrant("unsupported_grant_type", "The grant type is not supported")
    except BadGrant as refusal:
        return JSONResponse(refusal.body, refusal.status)


def _authenticated(world: Shopify, params: Mapping[str, str]) -> App:
    app = world.apps.get(params.get("client_id", ""))
    if app is None or not hmac.compare_digest(params.get("client_secret", "").encode(), app.client_secret.encode()):
        raise BadGrant("invalid_client", "Client authentication failed", 401)
    return app


def _for_code(world: Shopify, shop: Shop, app: App, params: Mapping[str, str]) -> dict[str, object]:
    code = shop.codes.pop(params.get("code", ""), None)
    if code is None or code[0] is not app or code[3] < clock.now():
        raise BadGrant("invalid_request", "The authorization code was not found or was already used")
    return issue(world, shop, app, code[1], expiring=params.get("expiring") in ("1", "true", "True"))


def _for_refresh_token(world: Shopify, shop: Shop, app: App, params: Mapping[str, str]) -> dict[str, object]:
    now = clock.now()
    used = shop.refreshes.get(params.get("refresh_token", ""))
    if used is None or used.app is not app or used.dead or used.expires_at <= now:
        raise BadGrant("invalid_grant", "This request requires an active refresh_token")
    if used.first_used_at and used.first_used_at + LOST_ANSWER_LIFE <= now:
        raise BadGrant("invalid_grant", "This request requires an active refresh_token")
    if used.replaces:
        used.replaces.dead = True
    # Used again although it was replaced: the answer was lost, so its unused replacement is worth nothing now.
    for other in shop.refreshes.values():
        if other.replaces is used:
            other.dead = True
    used.first_used_at = used.first_used_at or now
    return issue(world, shop, app, used.scopes, expiring=True, replaces=used)


def _for_old_token(world: Shopify, shop: Shop, app: App, params: Mapping[str, str]) -> dict[str, object]:
    """Exchange a non-expiring token for an expiring one. The old one dies; there is no way back."""
    old = shop.tokens.get(params.get("subject_token", ""))
    kinds = (params.get("subject_token_type"), params.get("requested_token_type", OFFLINE))
    if old is None or old.app is not app or old.expires_at is not None or kinds != (OFFLINE, OFFLINE):
        raise BadGrant("invalid_subject_token", "The subject token cannot be exchanged")
    if params.get("expiring") != "1":
        raise BadGrant("invalid_request", "Ask for an expiring token")
    del shop.tokens[old.value]
    return issue(world, shop, app, old.scopes, expiring=True)


def issue(
    world: Shopify, shop: Shop, app: App, scopes: frozenset[str], *, expiring: bool, replaces: Refresh | None = None
) -> dict[str, object]:
    """A fresh token, as the endpoint answers it. Only one chain of refresh tokens lives per app and shop."""
    now = clock.now()
    life = world.knobs.access_token_seconds
    token = Token(world.secret("shpat_"), app, scopes, now + timedelta(seconds=life) if expiring else None)
    shop.tokens[token.value] = token
    body: dict[str, object] = {"access_token": token.value, "scope": ",".join(sorted(scopes))}
    if not expiring:
        return body
    days = world.knobs.refresh_token_days
    for other in shop.refreshes.values():
        if other.app is app and other is not replaces:
            other.dead = True
    refresh = Refresh(world.secret("shprt_"), app, scopes, now + timedelta(days=days), replaces)
    shop.refreshes[refresh.value] = refresh
    return {
        **body,
        "expires_in": life,
        "refresh_token": refresh.value,
        "refresh_token_expires_in": days * 24 * 3600,
    }


def custom_token(world: Shopify, shop: Shop, scopes: frozenset[str]) -> tuple[App, str]:
    """A custom app made by the merchant in the admin: its own secret, and a token that never expires."""
    app = App(world.secret("custom-"), world.secret("shpss_"), name="Custom app", public=False)
    world.apps[app.client_id] = app
    token = Token(world.secret("shpat_"), app, _granted(scopes), None)
    shop.tokens[token.value] = token
    return app, token.value
