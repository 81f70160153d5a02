"""Signing in at Shopify: the authorization-code flow for a dashboard of our own, and tokens that expire.

Source: shopify.dev, "Authorization code grant" and "Offline access tokens"; the escaping of the HMAC is that of
Shopify's own libraries. One renewal at a time per store, and storing both new tokens together, is the caller's part.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import structlog
from pydantic import BaseModel, SecretStr

from shipcrowd.integrations.shopify.account import SHOP, ShopifyCredentials, shopify_app, shopify_credentials, store_id
from shipcrowd.integrations.shopify.raw import obj
from shipcrowd.kernel.errors import Unauthenticated
from shipcrowd.kernel.outbound import Disconnected, Http, Json, Malformed, Refused, Reply

log = structlog.get_logger(__name__)

NEEDED_SCOPES = (
    "read_orders",
    "write_orders",
    "read_products",
    "read_inventory",
    "write_inventory",
    "read_locations",
    "read_merchant_managed_fulfillment_orders",
    "write_merchant_managed_fulfillment_orders",
)
"""Without one of these something in ShipCrowd stops working; without the fulfilment ones it stops *silently*
(the fulfilment orders come back as an empty list)."""

OPTIONAL_SCOPES = (
    "read_third_party_fulfillment_orders",
    "write_third_party_fulfillment_orders",
    "read_customers",
    "read_returns",
)
SCOPES = NEEDED_SCOPES + OPTIONAL_SCOPES

CALLBACK_WINDOW = timedelta(minutes=10)
_DOCUMENTED_LIFE = timedelta(hours=1)
_DOCUMENTED_REFRESH_LIFE = timedelta(days=90)


class ForgedCallback(Unauthenticated):
    """This sign-in did not come from Shopify, or came too late; start it again."""


def start(app: BaseModel, shop: str, state: str, redirect_uri: str) -> str:
    """The address to send the browser to. Raises NotAShopifyStore for anything but a shop's own domain."""
    query = {
        "client_id": shopify_app(app).client_id,
        "scope": ",".join(SCOPES),
        "redirect_uri": redirect_uri,
        "state": state,
    }
    return f"https://{store_id(shop)}/admin/oauth/authorize?{urlencode(query)}"


def check(app: BaseModel, query: Sequence[tuple[str, str]], now: datetime) -> str:
    """The shop a callback speaks for. `query` is decoded. Raises ForgedCallback: signature, shop or time is wrong.

    The old client secret counts too, so that a sign-in under way survives a rotation.
    """
    ours = shopify_app(app)
    given = _single(query, "hmac")
    message = signed_text(query)
    secrets = [s.get_secret_value() for s in (ours.client_secret, ours.old_client_secret) if s and s.get_secret_value()]
    # Every secret is tried, found or not, and as bytes: compare_digest refuses text that is not ASCII.
    matches = [hmac.compare_digest(sign(secret, message).encode(), given.encode()) for secret in secrets]
    if not any(matches):
        raise ForgedCallback("The signature of the sign-in is wrong.")
    shop = _single(query, "shop")
    if not SHOP.fullmatch(shop):
        raise ForgedCallback("The sign-in names no Shopify store.")
    stamp = _single(query, "timestamp")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 11):
        raise ForgedCallback("The sign-in carries no time.")
    if abs(now - datetime.fromtimestamp(int(stamp), UTC)) > CALLBACK_WINDOW:
        raise ForgedCallback("The sign-in is more than ten minutes old.")
    return shop.lower()


def signed_text(query: Iterable[tuple[str, str]]) -> str:
    """The text Shopify signs: every pair but `hmac`, escaped as its own libraries do, sorted and joined by `&`.

    In keys `%` → `%25` and `=` → `%3D`, in values `%` → `%25`, in the finished pair `&` → `%26`; the values of an
    `ids[]` become one JSON list, `ids=["1", "2"]`, with its blank. A plain key given twice raises ForgedCallback:
    which of the two was meant is for a forger to play with.
    """
    singles: dict[str, str] = {}
    lists: dict[str, list[str]] = {}
    for key, value in query:
        if key == "hmac":
            continue
        if key.endswith("[]"):
            lists.setdefault(key.removesuffix("[]"), []).append(value)
        elif key in singles:
            raise ForgedCallback(f"The sign-in gives {key} twice.")
        else:
            singles[key] = value
    pairs = [*singles.items(), *((key, json.dumps(values)) for key, values in lists.items())]
    return "&".join(sorted(_pair(key, value) for key, value in pairs))


def sign(secret: str, message: str) -> str:
    """Hexadecimal HMAC-SHA256, as in a callback's `hmac`."""
    return hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest()


async def finish(
    app: BaseModel, http: Http, shop: str, query: Mapping[str, str], redirect_uri: str, now: datetime
) -> ShopifyCredentials:
    """Exchange the code of a callback for tokens.

    Raises Refused("bad_app_secret", …), Disconnected (the code was used or is too old: start again), Malformed and
    Unavailable. `redirect_uri` is not part of Shopify's exchange.
    """
    ours = shopify_app(app)
    answer = await _tokens(
        http,
        shop,
        {
            "client_id": ours.client_id,
            "client_secret": ours.client_secret.get_secret_value(),
            "code": query.get("code", ""),
            "expiring": "1",
        },
        what="sign_in",
        repeatable=False,  # a code is good once
    )
    # An app exempt from expiring tokens (made for one store) is answered without them although we asked.
    if "expires_in" not in answer and "refresh_token" not in answer:
        return ShopifyCredentials(kind="permanent", access_token=_token(answer), scopes=granted(answer))
    return _expiring(answer, now)


async def renew(
    app: BaseModel, http: Http, external_id: str, credentials: BaseModel, now: datetime
) -> ShopifyCredentials:
    """New credentials for old; the refresh token is new as well, and both must be stored at once.

    Raises Disconnected (signing in again is the only way), Refused("bad_app_secret", …) when the fault is ours and
    the store must not be paused for it, Malformed and Unavailable.
    """
    held, ours = shopify_credentials(credentials), shopify_app(app)
    if held.kind == "permanent" or held.refresh_token is None:
        raise Disconnected("Shopify no longer accepts the access token of this store.")
    if held.refresh_expires_at is not None and held.refresh_expires_at <= now:
        raise Disconnected("The store was not in touch for 90 days; sign in to Shopify again.")
    answer = await _tokens(
        http,
        store_id(external_id),
        {
            "client_id": ours.client_id,
            "client_secret": ours.client_secret.get_secret_value(),
            "grant_type": "refresh_token",
            "refresh_token": held.refresh_token.get_secret_value(),
        },
        what="renew_token",
        repeatable=True,  # the old refresh token stays good until the new one is first used
    )
    # The guard of shopify-app-js #3400: a reply without `expires_in` must never be kept as "never expires", which
    # would strand the store an hour later. With a refresh token in it we assume the documented hour.
    if "expires_in" not in answer:
        if "refresh_token" not in answer:
            raise Malformed("Shopify renewed a token without saying how long it lasts")
        log.warning("shopify_renewal_without_expiry", store=external_id)
    renewed = _expiring(answer, now)
    return renewed if renewed.scopes else renewed.model_copy(update={"scopes": held.scopes})


def missing_scopes(granted_scopes: Iterable[str]) -> tuple[str, ...]:
    """Which of NEEDED_SCOPES were not granted. A write scope implies its read scope, which Shopify then omits."""
    held = set(granted_scopes)
    held |= {scope.replace("write_", "read_", 1) for scope in held if scope.startswith("write_")}
    return tuple(scope for scope in NEEDED_SCOPES if scope not in held)


def granted(answer: Json) -> tuple[str, ...]:
    """The scopes in a token answer: one comma-separated text."""
    return tuple(scope.strip() for scope in str(answer.get("scope") or "").split(",") if scope.strip())


async def _tokens(http: Http, shop: str, form: dict[str, str], *, what: str, repeatable: bool) -> dict[str, Json]:
    reply = await http.request(
        "POST",
        f"https://{shop}/admin/oauth/access_token",
        what=what,
        repeatable=repeatable,
        headers={"accept": "application/json"},
        form=form,
    )
    if reply.ok:
        return obj(reply.json())
    raise _failure(reply)


def _failure(reply: Reply) -> Exception:
    try:
        answer = reply.json()
    except Malformed:
        answer = None
    error = str(obj(answer).get("error") or "") if isinstance(answer, dict) else ""
    if error == "invalid_client":
        return Refused("bad_app_secret", "ShipCrowd's own key for Shopify is wrong; the operator has to correct it.")
    if error in ("invalid_grant", "invalid_request") or "authorization code" in reply.text().lower():
        return Disconnected("Shopify no longer accepts this sign-in; sign in again.")
    if reply.status in (402, 423):
        return Refused("shop_frozen", "Shopify has frozen or locked this store; its owner has to settle that there.")
    if reply.status == 404:
        return Disconnected("Shopify knows no store of this name.")
    return Refused("sign_in_refused", f"Shopify refused the sign-in (status {reply.status}).")


def _expiring(answer: Json, now: datetime) -> ShopifyCredentials:
    if not answer.get("refresh_token"):
        raise Malformed("Shopify gave an expiring token without one to renew it")
    return ShopifyCredentials(
        kind="expiring",
        access_token=_token(answer),
        refresh_token=SecretStr(str(answer["refresh_token"])),
        expires_at=now + _seconds(answer.get("expires_in"), _DOCUMENTED_LIFE),
        refresh_expires_at=now + _seconds(answer.get("refresh_token_expires_in"), _DOCUMENTED_REFRESH_LIFE),
        scopes=granted(answer),
    )


def _token(answer: Json) -> SecretStr:
    token = answer.get("access_token")
    if not isinstance(token, str) or len(token) < 8:
        raise Malformed("Shopify's token answer holds no access token")
    return SecretStr(token)


def _seconds(value: Json, otherwise: timedelta) -> timedelta:
    try:
        seconds = int(value)
    except (TypeError, ValueError):
        return otherwise
    return timedelta(seconds=seconds) if seconds > 0 else otherwise


def _pair(key: str, value: str) -> str:
    key = key.replace("%", "%25").replace("=", "%3D")
    return f"{key}={value.replace('%', '%25')}".replace("&", "%26")


def _single(query: Sequence[tuple[str, str]], key: str) -> str:
    values = [value for name, value in query if name == key]
    if len(values) != 1:
        raise ForgedCallback(f"The sign-in must give {key} exactly once.")
    return values[0]
