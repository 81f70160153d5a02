"""Tokens: signing in at Flipkart, minting with an application of the seller's own, and renewing either.

Source: Flipkart's seller API documentation, "Authorization"; the token endpoint is called with GET and Basic
authentication, and answers a POST with a page of HTML. One renewal at a time per store is the caller's part.
"""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from urllib.parse import urlencode, urlsplit

import structlog
from pydantic import BaseModel, SecretStr

from shipcrowd.integrations.flipkart.account import (
    FlipkartApp,
    FlipkartCredentials,
    due,
    flipkart_app,
    flipkart_credentials,
)
from shipcrowd.integrations.flipkart.reading import obj, text
from shipcrowd.kernel.errors import Invalid, Unauthenticated
from shipcrowd.kernel.outbound import Disconnected, Http, Json, Malformed, OutsideFailure, Refused, Reply, Unavailable

log = structlog.get_logger(__name__)

SCOPE = "Seller_Api"
AUTHORIZE, TOKEN = "/oauth-service/oauth/authorize", "/oauth-service/oauth/token"
SIGN_IN_AGAIN = "Flipkart no longer accepts this sign-in; sign in again."
CHECK_KEYS = (
    "Check the application id and secret in Seller Hub → Manage Profile → Developer Access, and connect the store with"
    " the right ones."
)
NOT_ITS_KEYS = f"Flipkart no longer accepts this store's own application. {CHECK_KEYS}"
_LONGEST = timedelta(days=400)


class NoSignIn(Unauthenticated):
    """Flipkart sent the browser back without a code; start the sign-in again."""


class NoFlipkartApp(Invalid):
    """Signing in needs an application of ours at Flipkart; the operator has to set it up."""


def refused(held: FlipkartCredentials) -> Disconnected:
    """The credentials no longer work: what the seller of this store has to do."""
    return Disconnected(NOT_ITS_KEYS if held.kind == "own_app" else SIGN_IN_AGAIN)


def start(app: BaseModel, shop: str, state: str, redirect_uri: str) -> str:
    """The address to send the browser to. Raises NoFlipkartApp."""
    ours = flipkart_app(app)
    if not ours.app_id:
        raise NoFlipkartApp()
    query = {
        "client_id": ours.app_id,
        "redirect_uri": redirect_uri,
        "response_type": "code",
        "scope": SCOPE,
        "state": state,
    }
    return f"{base_url(ours)}{AUTHORIZE}?{urlencode(query)}"


def check(app: BaseModel, query: Sequence[tuple[str, str]], now: datetime) -> str | None:
    """Flipkart's callback is neither signed nor does it name the seller: the `state` alone binds it. Raises NoSignIn
    when it holds no code, or more than one."""
    for name in ("code", "state"):
        if len([value for key, value in query if key == name and value]) != 1:
            raise NoSignIn(dict(query).get("error_description", "")[:200])
    return None


async def finish(
    app: BaseModel, http: Http, shop: str, query: Mapping[str, str], redirect_uri: str, now: datetime
) -> FlipkartCredentials:
    """Exchange the code of a callback for tokens. Raises Refused("bad_app_secret", …), Disconnected (the code was
    used or is too old), Malformed and Unavailable."""
    ours = flipkart_app(app)
    answer = await _tokens(
        http,
        ours,
        ours.app_id,
        ours.app_secret,
        {
            "grant_type": "authorization_code",
            "redirect_uri": redirect_uri,
            "state": query.get("state", ""),
            "code": query.get("code", ""),
        },
        what="sign_in",
        repeatable=False,  # a code is good once
    )
    return _held(FlipkartCredentials(kind="signed_in", seller_id=shop, access_token=_token(answer)), answer, now)


async def renew(
    app: BaseModel, http: Http, external_id: str, credentials: BaseModel, now: datetime
) -> FlipkartCredentials:
    """Another token: minted again with the seller's own application, or by refresh token. It may turn out to be the
    same one, with less time left. Raises Disconnected (signing in again, or correcting the application, is the only
    way), Refused("bad_app_secret", …) when the fault is ours, Malformed and Unavailable."""
    held, ours = flipkart_credentials(credentials), flipkart_app(app)
    held = held.model_copy(update={"seller_id": external_id})
    if held.kind == "own_app":
        assert held.app_id is not None
        assert held.app_secret is not None
        grant = {"grant_type": "client_credentials", "scope": SCOPE}
        try:
            answer = await _tokens(http, ours, held.app_id, held.app_secret, grant, what="mint_token", repeatable=True)
        except Refused as refusal:
            raise Disconnected(f"{refusal.message}. {CHECK_KEYS}") from refusal
        except Disconnected as failure:
            raise refused(held) from failure
        return _held(held, answer, now)
    if held.refresh_token is None:
        raise Disconnected(SIGN_IN_AGAIN)
    if held.refresh_expires_at is not None and held.refresh_expires_at <= now:
        raise Disconnected("The sign-in at Flipkart lasts 180 days and has ended; sign in again.")
    grant = {"grant_type": "refresh_token", "refresh_token": held.refresh_token.get_secret_value()}
    answer = await _tokens(http, ours, ours.app_id, ours.app_secret, grant, what="renew_token", repeatable=True)
    return _held(held, answer, now)


def base_url(app: FlipkartApp) -> str:
    """Where Flipkart is, without a slash at the end. Raises Refused for what is no https address."""
    url = app.base_url.rstrip("/")
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise Refused("bad_base_url", "Flipkart's address in the settings is not an https address.")
    return url


async def _tokens(
    http: Http,
    app: FlipkartApp,
    app_id: str,
    secret: SecretStr,
    grant: Mapping[str, str],
    *,
    what: str,
    repeatable: bool,
) -> dict[str, Json]:
    basic = base64.b64encode(f"{app_id}:{secret.get_secret_value()}".encode()).decode()
    try:
        reply = await http.request(
            "GET",
            f"{base_url(app)}{TOKEN}",
            what=what,
            repeatable=repeatable,
            headers={"accept": "application/json", "authorization": f"Basic {basic}"},
            params=grant,
        )
        answer = obj(reply.json())
    except Malformed as failure:
        # A page of HTML: some gateway's, or Flipkart's while it blocks an address.
        raise Unavailable(f"Flipkart answered {what} with something else than JSON") from failure
    if not reply.ok:
        raise _failure(reply, answer, grant["grant_type"])
    return answer


def _failure(reply: Reply, answer: Mapping[str, Json], grant: str) -> OutsideFailure:
    error, words = text(answer.get("error")), text(answer.get("error_description"))[:300]
    log.info("flipkart_token_refused", grant=grant, status=reply.status, error=error)
    if error == "invalid_grant":
        return Disconnected(SIGN_IN_AGAIN)
    if error in ("unauthorized", "invalid_client", "unauthorized_client") or reply.status in (401, 403):
        if grant == "client_credentials":
            told = words or f"status {reply.status}"
            return Refused("bad_app_secret", f"Flipkart does not accept the application's id and secret ({told})")
        return Refused("bad_app_secret", "ShipCrowd's own key for Flipkart is wrong; the operator has to correct it.")
    return Refused("sign_in_refused", words or f"Flipkart refused the sign-in (status {reply.status}).")


def _held(before: FlipkartCredentials, answer: Mapping[str, Json], now: datetime) -> FlipkartCredentials:
    lasts = _seconds(answer.get("expires_in"))
    if lasts is None:
        raise Malformed("Flipkart gave a token without saying how long it lasts")
    changed: dict[str, object] = {
        "access_token": _token(answer),
        "expires_at": now + lasts,
        "renew_at": due(now, lasts),
    }
    if refresh := text(answer.get("refresh_token")):
        changed["refresh_token"] = SecretStr(refresh)
    if (refresh_lasts := _seconds(answer.get("refresh_token_expires_in"))) is not None:
        changed["refresh_expires_at"] = now + refresh_lasts
    return before.model_copy(update=changed)


def _token(answer: Mapping[str, Json]) -> SecretStr:
    token = answer.get("access_token")
    if not isinstance(token, str) or len(token) < 8:
        raise Malformed("Flipkart's token answer holds no access token")
    return SecretStr(token)


def _seconds(value: Json) -> timedelta | None:
    try:
        lasts = timedelta(seconds=int(value))
    except (TypeError, ValueError, OverflowError):
        return None
    return min(lasts, _LONGEST) if lasts > timedelta(0) else None
