"""What we keep to speak for one Shopify store, what our own app is called there, and how a store is named."""

import re
from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from shipcrowd.kernel.errors import Invalid
from shipcrowd.kernel.validation import expected

SHOP = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9-]*\.myshopify\.com", re.ASCII)
"""Shopify's own rule for a shop's domain, matched whole: anything looser lets a stranger choose the host we call."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*", re.ASCII)
_ADMIN = re.compile(r"admin\.shopify\.com/store/([a-z0-9][a-z0-9-]*)", re.ASCII)


class NotAShopifyStore(Invalid):
    """This is not the address of a Shopify store."""


class ShopifyCredentials(BaseModel):
    """The keys to one store.

    `expiring` tokens come from signing in: an hour of access, 90 days to renew it. A `permanent` one is the admin
    token of an app the merchant made in their own store and pasted here; its webhooks are signed with *that* app's
    secret, hence `app_secret`.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["expiring", "permanent"] = Field(default="permanent", json_schema_extra={"form": False})
    access_token: SecretStr = Field(
        title="Admin API access token",
        description="Settings → Apps → Develop apps → your app → API credentials; it starts with shpat_.",
        min_length=8,
    )
    app_secret: SecretStr | None = Field(
        default=None,
        title="API secret key",
        description="From the same page; webhooks of your app are signed with it.",
    )
    refresh_token: SecretStr | None = Field(default=None, json_schema_extra={"form": False})
    expires_at: datetime | None = Field(default=None, json_schema_extra={"form": False})
    refresh_expires_at: datetime | None = Field(default=None, json_schema_extra={"form": False})
    scopes: tuple[str, ...] = Field(default=(), json_schema_extra={"form": False})

    @field_validator("access_token", "app_secret", mode="before")
    @classmethod
    def _without_blanks(cls, value: object) -> object:
        return value.strip() or None if isinstance(value, str) else value

    @model_validator(mode="after")
    def _an_expiring_token_can_be_renewed(self) -> Self:
        if self.kind == "expiring" and (self.refresh_token is None or self.expires_at is None):
            raise ValueError("an expiring token needs refresh_token and expires_at")
        return self


class ShopifyApp(BaseModel):
    """Our own app at Shopify. While its secret is being rotated, `old_client_secret` still signs some webhooks."""

    model_config = ConfigDict(frozen=True)

    client_id: str = ""
    client_secret: SecretStr = SecretStr("")
    old_client_secret: SecretStr | None = None
    api_version: str = Field(default="2026-10", pattern=r"^(\d{4}-(01|04|07|10)|unstable)$")


def expires_at(credentials: BaseModel) -> datetime | None:
    """When these credentials must be renewed; None for a permanent token."""
    held = shopify_credentials(credentials)
    return held.expires_at if held.kind == "expiring" else None


def webhook_secrets(app: BaseModel, credentials: BaseModel) -> tuple[str, ...]:
    """Every secret a webhook of this store may be signed with, likeliest first."""
    ours, held = shopify_app(app), shopify_credentials(credentials)
    secrets = (held.app_secret, ours.client_secret, ours.old_client_secret)
    return tuple(secret.get_secret_value() for secret in secrets if secret and secret.get_secret_value())


def store_id(typed: str) -> str:
    """What a seller typed → `my-shop.myshopify.com`.

    Takes the bare name, the domain, and any address of the store's admin. Raises NotAShopifyStore for the rest,
    the shop's public domain among it, which says nothing about the `myshopify.com` name behind it.
    """
    shop = re.sub(r"^https?://", "", typed.strip().lower())
    admin = _ADMIN.match(shop)
    shop = admin.group(1) if admin else re.split(r"[/?#]", shop, maxsplit=1)[0]
    if _NAME.fullmatch(shop):
        shop += ".myshopify.com"
    if not SHOP.fullmatch(shop):
        raise NotAShopifyStore(
            "Type the store's myshopify.com address, such as my-shop.myshopify.com; in Shopify it stands under "
            "Settings → Domains.",
            field="store",
        )
    return shop


def shopify_app(app: BaseModel) -> ShopifyApp:
    """The app settings under their own type; a TypeError means that wiring mixed up two vendors."""
    return expected(ShopifyApp, app)


def shopify_credentials(credentials: BaseModel) -> ShopifyCredentials:
    """The credentials under their own type; a TypeError means that wiring mixed up two vendors."""
    return expected(ShopifyCredentials, credentials)
