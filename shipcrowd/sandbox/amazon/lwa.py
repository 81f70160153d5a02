"""Login with Amazon: the token endpoint, Seller Central's consent page, and the rotation of client secrets."""

import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from jinja2 import Environment, FileSystemLoader, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from shipcrowd.sandbox.amazon import publish
from shipcrowd.sandbox.amazon.call import stamp
from shipcrowd.sandbox.amazon.state import Amazon, App, Grant, Secret, Seller, Token
from shipcrowd.sandbox.faults import Faults, with_faults

SIGN_IN_HOST = "api.amazon.com"
CONSENT_HOST = "sellercentral.amazon.in"
CONSENT_PATH = "/apps/authorize/consent"
CONFIRM_PATH = "/apps/authorize/confirm/"

CODE_LIFE = timedelta(minutes=5)
GRANT_LIFE = timedelta(days=365)
SECRET_LIFE = timedelta(days=180)
OLD_SECRET_LIFE = timedelta(days=7)

NOTIFICATIONS = "sellingpartnerapi::notifications"
ROTATION = "sellingpartnerapi::client_credential:rotation"
SCOPES = frozenset((NOTIFICATIONS, ROTATION))

PAGES = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=select_autoescape(["html"]))
THROTTLED: dict[str, object] = {"error": "slow_down", "error_description": "Too many requests"}


class BadGrant(Exception):
    """The token endpoint refuses; `code` is OAuth's error word."""

    def __init__(self, code: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.body = {"error": code, "error_description": description}
        self.status = status


# --- tokens ---------------------------------------------------------------------------------------------------


async def token_endpoint(world: Amazon, faults: Faults, request: Request, path: str) -> Response:
    """`POST /auth/o2/token`, for all three grants."""
    if path != "/auth/o2/token" or request.method != "POST":
        return JSONResponse({"error": "invalid_request", "error_description": "No such resource"}, 404)
    form = {key: str(value) for key, value in (await request.form()).items()} if _is_form(request) else None

    async def act() -> Response:
        try:
            if form is None:
                raise BadGrant("invalid_request", "The Content-Type is not supported by the authorization server")
            return JSONResponse(_issue(world, form), headers={"Cache-Control": "no-store"})
        except BadGrant as refusal:
            return JSONResponse({**refusal.body, "request_id": world.uuid()}, refusal.status)

    return await with_faults(faults, request, "amazon", ("lwa.token",), act, throttled=THROTTLED)


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")


def _issue(world: Amazon, form: Mapping[str, str]) -> dict[str, object]:
    kind = _present(form, "grant_type")
    if kind not in ("authorization_code", "refresh_token", "client_credentials"):
        raise BadGrant("unsupported_grant_type", "The authorization grant type is not supported")
    app = _authenticated(world, form)
    match kind:
        case "authorization_code":
            grant = _for_code(world, app, form)
            return {**_access(world, app, grant=grant), "refresh_token": grant.refresh_token}
        case "refresh_token":
            grant = _for_refresh_token(world, app, form)
            return {**_access(world, app, grant=grant), "refresh_token": grant.refresh_token}
        case _:
            scope = _present(form, "scope")
            if scope not in SCOPES:
                raise BadGrant("invalid_scope", "The request has an invalid scope")
            return {**_access(world, app, scope=scope), "scope": scope}


def _present(form: Mapping[str, str], name: str) -> str:
    value = form.get(name, "")
    if not value:
        raise BadGrant("invalid_request", f"The request is missing a required parameter : {name}")
    return value


def _authenticated(world: Amazon, form: Mapping[str, str]) -> App:
    app = world.apps.get(_present(form, "client_id"))
    offered, now = _present(form, "client_secret"), world.now()
    alive = [one for one in app.secrets if one.expires_at is None or one.expires_at > now] if app else []
    if app is None or not any(hmac.compare_digest(one.value.encode(), offered.encode()) for one in alive):
        raise BadGrant("invalid_client", "Client authentication failed", 401)
    return app


def _for_code(world: Amazon, app: App, form: Mapping[str, str]) -> Grant:
    found = world.codes.pop(_present(form, "code"), None)
    if found is None or found[0] is not app or found[3] <= world.now():
        raise BadGrant("invalid_grant", "The request has an invalid grant parameter : code")
    if form.get("redirect_uri", found[2]) != found[2]:
        raise BadGrant("invalid_grant", "The request has an invalid grant parameter : redirect_uri")
    return authorize(world, app, found[1])


def _for_refresh_token(world: Amazon, app: App, form: Mapping[str, str]) -> Grant:
    value = _present(form, "refresh_token")
    for seller in world.sellers.values():
        grant = seller.grants.get(app.client_id)
        if grant and grant.refresh_token == value and alive(grant, world.now()):
            return grant
    text = "The request has an invalid grant parameter : refresh_token."
    raise BadGrant("invalid_grant", f"{text} User may have revoked or didn't grant the permission.")


def _access(world: Amazon, app: App, *, grant: Grant | None = None, scope: str | None = None) -> dict[str, object]:
    life = world.knobs.access_token_seconds
    token = Token("Atza|" + world.code(60), app, grant, scope, world.now() + timedelta(seconds=life))
    world.tokens[token.value] = token
    return {"access_token": token.value, "token_type": "bearer", "expires_in": life}


def alive(grant: Grant, now: datetime) -> bool:
    return not grant.revoked and now < grant.granted_at + GRANT_LIFE


def authorize(world: Amazon, app: App, seller: Seller) -> Grant:
    """The seller's word, given now. An earlier one and its tokens end: each authorization has its own refresh token."""
    revoke(seller, app)
    grant = Grant(app, seller, "Atzr|" + world.code(60), world.now())
    seller.grants[app.client_id] = grant
    return grant


def revoke(seller: Seller, app: App) -> bool:
    """Take it back; whether there was one."""
    grant = seller.grants.get(app.client_id)
    was = grant is not None and not grant.revoked
    if grant:
        grant.revoked = True
    return was


# --- consent --------------------------------------------------------------------------------------------------


async def seller_central(world: Amazon, request: Request, path: str) -> Response:
    """Seller Central: the consent page, and the way back for sign-ins that began at the Appstore."""
    if path == CONSENT_PATH and request.method == "GET":
        return _consent_page(world, dict(request.query_params))
    if path == CONSENT_PATH and request.method == "POST":
        return _consent_given(world, {key: str(value) for key, value in (await request.form()).items()})
    if path.startswith(CONFIRM_PATH) and request.method == "GET":
        return _confirmed(world, dict(request.query_params))
    return _error_page("The page you asked for does not exist.", 404)


def _consent_page(world: Amazon, query: Mapping[str, str]) -> Response:
    app = application(world, query.get("application_id", ""))
    if app is None:
        return _error_page("MD1000: the application_id is not known.")
    if not world.postman.reaches(query.get("redirect_uri", "")):
        return _error_page("MD5101: the redirect_uri is not registered for this application.")
    page = PAGES.get_template("consent.html").render(
        app=app,
        sellers=list(world.sellers.values()),
        query=dict(query),
        action=CONSENT_PATH.rsplit("/", 1)[1],
        host=urlsplit(query["redirect_uri"]).netloc,
    )
    return HTMLResponse(page)


def _consent_given(world: Amazon, form: Mapping[str, str]) -> Response:
    app = application(world, form.get("application_id", ""))
    seller = world.sellers.get(form.get("seller", ""))
    if form.get("decision") != "confirm":
        return HTMLResponse("<!DOCTYPE html><title>Not authorized</title><p>The application was not authorized.</p>")
    if app is None or seller is None or not world.postman.reaches(form.get("redirect_uri", "")):
        return _error_page("MD5101: the redirect_uri is not registered for this application.")
    return RedirectResponse(callback_url(world, app, seller, form["redirect_uri"], form.get("state", "")), 302)


def _confirmed(world: Amazon, query: Mapping[str, str]) -> Response:
    """The app's login page sent the seller back here with the `amazon_state` it was given."""
    begun = world.starts.pop(query.get("amazon_state", ""), None)
    if begun is None:
        return _error_page("MD9100: amazon_state is missing or was already used.")
    app, seller = begun
    uri = query.get("redirect_uri", "")
    if not world.postman.reaches(uri):
        return _error_page("MD5101: the redirect_uri is not registered for this application.")
    return RedirectResponse(callback_url(world, app, seller, uri, query.get("state", "")), 302)


def application(world: Amazon, application_id: str) -> App | None:
    return next((one for one in world.apps.values() if one.application_id == application_id), None)


def callback_url(world: Amazon, app: App, seller: Seller, redirect_uri: str, state: str) -> str:
    """Where the browser is sent after consent, with a code that works once within five minutes."""
    code = world.code(20)
    world.codes[code] = (app, seller, redirect_uri, world.now() + CODE_LIFE)
    params = {"state": state, "selling_partner_id": seller.id, "spapi_oauth_code": code}
    return f"{redirect_uri}{'&' if urlsplit(redirect_uri).query else '?'}{urlencode(params)}"


def appstore_link(world: Amazon, app: App, seller: Seller, login_url: str) -> str:
    """Where the Appstore sends a seller who presses Authorize there: the app's own login page."""
    state = world.code(24)
    world.starts[state] = (app, seller)
    params = {
        "amazon_callback_uri": f"https://{CONSENT_HOST}{CONFIRM_PATH}{app.application_id}",
        "amazon_state": state,
        "selling_partner_id": seller.id,
    }
    return f"{login_url}{'&' if urlsplit(login_url).query else '?'}{urlencode(params)}"


def _error_page(text: str, status: int = 400) -> Response:
    return HTMLResponse(f"<!DOCTYPE html><title>Seller Central</title><p>{text}</p>", status)


# --- secrets --------------------------------------------------------------------------------------------------


def rotate(world: Amazon, app: App) -> None:
    """A new client secret, sent to the developer's queue; the old ones work seven days more."""
    now = world.now()
    old_until = now + OLD_SECRET_LIFE
    for one in app.secrets:
        one.expires_at = min(one.expires_at or old_until, old_until)
    fresh = Secret("amzn1.oa2-cs.v1." + world.code(64, "0123456789abcdef"), now + SECRET_LIFE)
    app.secrets = [*(one for one in app.secrets if one.expires_at and one.expires_at > now), fresh]
    news = {
        "clientId": app.client_id,
        "newClientSecret": fresh.value,
        "newClientSecretExpiryTime": stamp(now + SECRET_LIFE),
        "oldClientSecretExpiryTime": stamp(old_until),
    }
    publish.to_developer(world, app, "APPLICATION_OAUTH_CLIENT_NEW_SECRET", {"applicationOAuthClientNewSecret": news})


def announce_expiry(world: Amazon, app: App) -> None:
    """The reminder Amazon sends before a client secret ends."""
    news = {
        "clientId": app.client_id,
        "clientSecretExpiryTime": stamp(app.secrets[-1].expires_at or world.now() + SECRET_LIFE),
        "clientSecretExpiryReason": "PERIODIC_ROTATION",
    }
    publish.to_developer(
        world, app, "APPLICATION_OAUTH_CLIENT_SECRET_EXPIRY", {"applicationOAuthClientSecretExpiry": news}
    )
