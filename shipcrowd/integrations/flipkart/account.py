"""What connects a store: its credentials, our own application's keys, and when tokens are to be renewed.

A seller signs in (the default: our third-party application), or brings an application of their own, whose id and
secret are the means to mint tokens. Flipkart forbids an aggregator to use a seller's own ("self-access") key on their
behalf; that form is for an installation that serves the seller it belongs to.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from shipcrowd.integrations.flipkart import webhooks
from shipcrowd.kernel.errors import Invalid
from shipcrowd.kernel.validation import expected

_SELLER = re.compile(r"[a-z0-9][a-z0-9_-]{3,63}")
_NEVER_MINTED = datetime(2000, 1, 1, tzinfo=UTC)

LONG_LIFE = timedelta(days=7)
DAYS_LEFT = timedelta(days=5)
LEAST_LEFT = timedelta(seconds=60)


class NotAFlipkartSeller(Invalid):
    """This is not a Flipkart seller id."""


class FlipkartCredentials(BaseModel):
    """A store's credentials. `own_app`: id and secret of the seller's application, which mint tokens. `signed_in`: a
    token and its refresh token from our application."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["own_app", "signed_in"] = Field(default="own_app", json_schema_extra={"form": False})
    app_id: str | None = Field(
        default=None,
        title="Application id",
        description="Flipkart Seller Hub → Manage Profile → Developer Access → your self-access application.",
        min_length=4,
    )
    app_secret: SecretStr | None = Field(
        default=None, title="Application secret", description="From the same page.", min_length=4
    )
    webhook_secret: SecretStr | None = Field(
        default=None,
        title="Webhook secret",
        description="Only where this store's notifications are signed with a secret of their own.",
    )
    webhook_url: str | None = Field(
        default=None,
        title="Notification address registered with Flipkart",
        description="Only where it differs from the one shown here: it is part of Flipkart's signature, to the letter.",
    )
    seller_id: str | None = Field(default=None, json_schema_extra={"form": False})
    access_token: SecretStr | None = Field(default=None, json_schema_extra={"form": False})
    refresh_token: SecretStr | None = Field(default=None, json_schema_extra={"form": False})
    expires_at: datetime | None = Field(default=None, json_schema_extra={"form": False})
    renew_at: datetime | None = Field(default=None, json_schema_extra={"form": False})
    refresh_expires_at: datetime | None = Field(default=None, json_schema_extra={"form": False})

    @field_validator("app_id", "app_secret", "webhook_secret", "webhook_url", mode="before")
    @classmethod
    def _without_blanks(cls, value: object) -> object:
        return value.strip() or None if isinstance(value, str) else value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kind == "own_app" and (self.app_id is None or self.app_secret is None):
            raise ValueError("give the application's id and its secret")
        if self.kind == "signed_in" and self.access_token is None:
            raise ValueError("a sign-in yields an access token")
        return self


class FlipkartApp(BaseModel):
    """Our own third-party application, where Flipkart is reached, and what notifications are checked with."""

    model_config = ConfigDict(frozen=True)

    app_id: str = ""
    app_secret: SecretStr = SecretStr("")
    base_url: str = "https://api.flipkart.net"
    webhook_secret: SecretStr = SecretStr("")
    webhook_url: str = ""
    """Where Flipkart has our notification addresses registered, up to the seller's id; blank: under `public_url`."""
    webhook_window_seconds: int = Field(default=900, ge=60)
    public_url: str = ""


def expires_at(credentials: BaseModel) -> datetime | None:
    """When the token ends. An application that has not minted one yet holds one that ended long ago."""
    return flipkart_credentials(credentials).expires_at or _NEVER_MINTED


def renew_at(credentials: BaseModel) -> datetime | None:
    """From when on another token is to be got."""
    held = flipkart_credentials(credentials)
    return held.renew_at or expires_at(held)


def due(now: datetime, lasts: timedelta) -> datetime:
    """When to renew a token handed out `now` that lasts `lasts`: five days before the end of one that lives for more
    than a week, after four fifths of a shorter life (a minute before its end at the latest).

    It goes by what Flipkart says is left, for a token minted again is often the same one, with less left; the second
    half of the rule then draws nearer and nearer to its end without asking at every call.
    """
    margin = DAYS_LEFT if lasts > LONG_LIFE else max(lasts / 5, LEAST_LEFT)
    return now + lasts - margin


def webhook_keys(app: BaseModel, credentials: BaseModel) -> tuple[str, ...]:
    """Everything a notification of this store may be signed with, likeliest first, in `webhooks`' own writing."""
    ours, held = flipkart_app(app), flipkart_credentials(credentials)
    base = (ours.webhook_url or f"{ours.public_url.rstrip('/')}/api/v1/webhooks/flipkart").rstrip("/")
    url = held.webhook_url or (f"{base}/{held.seller_id}" if held.seller_id else "")
    keys = list[webhooks.Key]()
    for app_id, secret in ((held.app_id, held.app_secret), (ours.app_id, ours.app_secret)):
        if app_id and secret and secret.get_secret_value() and url:
            keys.append(
                webhooks.Key("fklogin", secret.get_secret_value(), ours.webhook_window_seconds, app_id=app_id, url=url)
            )
    for secret in (held.webhook_secret, ours.webhook_secret):
        if secret and secret.get_secret_value():
            keys.append(webhooks.Key("hmac", secret.get_secret_value(), ours.webhook_window_seconds))
    return tuple(key.written() for key in keys)


def store_id(typed: str) -> str:
    """The seller id, as Seller Hub shows it. Raises NotAFlipkartSeller."""
    seller = typed.strip().lower()
    if not _SELLER.fullmatch(seller):
        raise NotAFlipkartSeller(
            "Type the seller id; in Flipkart Seller Hub it stands under Manage Profile.", field="store"
        )
    return seller


def flipkart_app(app: BaseModel) -> FlipkartApp:
    """The app settings under their own type; a TypeError means that wiring mixed up two vendors."""
    return expected(FlipkartApp, app)


def flipkart_credentials(credentials: BaseModel) -> FlipkartCredentials:
    """The credentials under their own type; a TypeError means that wiring mixed up two vendors."""
    return expected(FlipkartCredentials, credentials)
