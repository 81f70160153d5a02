"""Login with Amazon: codes and refresh tokens for access tokens, and tokens for the application itself.

Source: Amazon's "Connecting to the SP-API" and LWA's error reference. One renewal at a time for each seller, in all
processes, is the caller's part (`connections.renewal`); the application's own tokens are kept here, by process.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar
from weakref import WeakKeyDictionary

import structlog
from pydantic import BaseModel, SecretStr

from shipcrowd.integrations.amazon.account import AmazonApp, AmazonCredentials, amazon_app, amazon_credentials
from shipcrowd.integrations.amazon.raw import obj, text
from shipcrowd.kernel import app_secrets, clock
from shipcrowd.kernel.outbound import Disconnected, Http, Json, Malformed, OutsideFailure, Refused, Reply

log = structlog.get_logger(__name__)

TOKEN_URL = "https://api.amazon.com/auth/o2/token"  # noqa: S105 - an address
SLUG = "amazon"
NOTIFICATIONS = "sellingpartnerapi::notifications"

_FORM = "application/x-www-form-urlencoded;charset=UTF-8"
_EARLY = timedelta(minutes=5)
_DOCUMENTED_LIFE = timedelta(hours=1)


@dataclass(frozen=True)
class Keys:
    """The application that speaks: ours, or (`private`) the seller's own."""

    client_id: str
    client_secret: SecretStr
    private: bool


def keys(app: AmazonApp, credentials: AmazonCredentials) -> Keys:
    """Whose application speaks for this seller."""
    if credentials.client_id is not None and credentials.client_secret is not None:
        return Keys(credentials.client_id, credentials.client_secret, private=True)
    return Keys(app.client_id, app.client_secret, private=False)


async def exchange(app: AmazonApp, http: Http, code: str, redirect_uri: str, marketplace: str) -> AmazonCredentials:
    """The code of a sign-in for credentials. A code is good once and for five minutes.

    Raises Disconnected (used or too old: start again), Refused("bad_app_secret", …), Malformed and Unavailable.
    """
    ours = Keys(app.client_id, app.client_secret, private=False)
    answer = await _ask(
        http,
        ours,
        {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri},
        what="sign_in",
        repeatable=False,
    )
    refresh = text(answer.get("refresh_token"))
    if not refresh:
        raise Malformed("Amazon answered a sign-in without a refresh token")
    now = clock.now()
    return AmazonCredentials(
        refresh_token=SecretStr(refresh),
        marketplace=marketplace,
        access_token=_token(answer),
        expires_at=now + _life(answer),
        authorized_at=now,
    )


async def renew(
    app: BaseModel, http: Http, external_id: str, credentials: BaseModel, now: datetime
) -> AmazonCredentials:
    """The same credentials with a new access token, and a new refresh token where Amazon gave one.

    Raises Disconnected (the seller must authorize again), Refused("bad_app_secret", …) when the fault is ours and
    the store must not be cut for it, Malformed and Unavailable.
    """
    held = amazon_credentials(credentials)
    answer = await _ask(
        http,
        keys(amazon_app(app), held),
        {"grant_type": "refresh_token", "refresh_token": held.refresh_token.get_secret_value()},
        what="renew_token",
        repeatable=True,
    )
    given = text(answer.get("refresh_token"))
    return held.model_copy(
        update={
            "refresh_token": SecretStr(given) if given else held.refresh_token,
            "access_token": _token(answer),
            "expires_at": now + _life(answer),
            # Of a pasted token nobody knows the age: the day we first used it is the best there is.
            "authorized_at": held.authorized_at or now,
        }
    )


_Locks = dict[tuple[str, str], asyncio.Lock]


class _Own:
    """The application's own tokens, by client id and scope, and one lock for each so that they are asked for once."""

    tokens: ClassVar[dict[tuple[str, str], tuple[SecretStr, datetime]]] = {}
    locks: ClassVar[WeakKeyDictionary[asyncio.AbstractEventLoop, _Locks]] = WeakKeyDictionary()


async def grantless(http: Http, speaker: Keys, scope: str = NOTIFICATIONS, stale: SecretStr | None = None) -> SecretStr:
    """A token of the application itself, for operations that concern no one seller; other than `stale`.

    Raises Refused("bad_app_secret", …), Disconnected for a seller's own application, Malformed and Unavailable.
    """
    key = (speaker.client_id, scope)
    locks = _Own.locks.setdefault(asyncio.get_running_loop(), {})
    async with locks.setdefault(key, asyncio.Lock()):
        held = _Own.tokens.get(key)
        if held is not None and held[0] != stale and held[1] - clock.now() > _EARLY:
            return held[0]
        answer = await _ask(
            http, speaker, {"grant_type": "client_credentials", "scope": scope}, what="own_token", repeatable=True
        )
        token = _token(answer)
        _Own.tokens[key] = (token, clock.now() + _life(answer))
        return token


def forget_own_tokens() -> None:
    """Drop the application's tokens this process holds: its secret changed, or a test begins."""
    _Own.tokens.clear()


async def _ask(http: Http, speaker: Keys, form: Mapping[str, str], *, what: str, repeatable: bool) -> dict[str, Json]:
    if not speaker.client_id:
        raise Refused("no_app_keys", "ShipCrowd's own keys for Amazon are not set; the operator has to set them.")
    secrets = [speaker.client_secret]
    if not speaker.private:
        secrets = await app_secrets.usable(SLUG, speaker.client_id, speaker.client_secret)
    for tried, secret in enumerate(secrets, start=1):
        reply = await http.request(
            "POST",
            TOKEN_URL,
            what=what,
            repeatable=repeatable,
            headers={"accept": "application/json", "content-type": _FORM},
            form={**form, "client_id": speaker.client_id, "client_secret": secret.get_secret_value()},
        )
        if reply.ok:
            return obj(reply.json())
        log.info(
            "amazon_token_refused", what=what, status=reply.status, request=reply.headers.get("x-amzn-requestid", "")
        )
        # Where it was not this secret, one before it may still work.
        if tried == len(secrets) or _error(reply) != "invalid_client":
            raise _failure(reply, speaker)
    raise AssertionError("an application has at least the secret of the settings")


def _error(reply: Reply) -> str:
    try:
        return text(obj(reply.json()).get("error"))
    except Malformed:
        return ""


def _failure(reply: Reply, speaker: Keys) -> OutsideFailure:
    error = _error(reply)
    if error == "invalid_grant":
        return Disconnected("Amazon no longer accepts this seller's authorization; sign in to Amazon again.")
    if error in ("invalid_client", "unauthorized_client"):
        if speaker.private:
            return Disconnected("Amazon does not accept the keys of your own application; paste them again.")
        return Refused("bad_app_secret", "ShipCrowd's own key for Amazon is wrong; the operator has to correct it.")
    return Refused("sign_in_refused", f"Amazon refused the sign-in ({error or f'status {reply.status}'}).")


def _token(answer: Mapping[str, Json]) -> SecretStr:
    token = answer.get("access_token")
    if not isinstance(token, str) or not token.strip():
        raise Malformed("Amazon's token answer holds no access token")
    return SecretStr(token)


def _life(answer: Mapping[str, Json]) -> timedelta:
    try:
        seconds = int(answer.get("expires_in") or 0)
    except (TypeError, ValueError):
        seconds = 0
    return timedelta(seconds=seconds) if 0 < seconds <= 86_400 else _DOCUMENTED_LIFE
