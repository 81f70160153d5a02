"""What we keep to speak for one seller at Amazon, what our own application is called there, how a seller is named."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from shipcrowd.integrations.amazon import regions
from shipcrowd.integrations.amazon.regions import Marketplace
from shipcrowd.kernel.errors import Invalid
from shipcrowd.kernel.mailbox import Mailbox
from shipcrowd.kernel.validation import expected

SELLER = re.compile(r"A[A-Z0-9]{9,20}", re.ASCII)
"""A merchant token, as Seller Central shows it under Account Info."""

AUTHORIZED_FOR = timedelta(days=365)
"""A seller's authorization of a public application lapses after a year unless it is given again."""


_REGION = "eu-west-1"  # of the queue, where its ARN does not say
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class NotASeller(Invalid):
    """This is not the merchant token of an Amazon seller."""


class AmazonCredentials(BaseModel):
    """The keys to one seller at one marketplace.

    `client_id` and `client_secret` are those of a private application of the seller's own; without them ours
    speaks. The access token lives an hour and is renewed by the refresh token.
    """

    model_config = ConfigDict(frozen=True)

    refresh_token: SecretStr = Field(
        title="Refresh token",
        description="Of a private application: Seller Central → Develop Apps → Authorize; it starts with Atzr|.",
        min_length=8,
    )
    marketplace: str = Field(
        default=regions.INDIA.id,
        title="Marketplace",
        description="Its country, such as IN; left blank it is India.",
    )
    client_id: str | None = Field(
        default=None,
        title="LWA client identifier",
        description="Only for an application of your own: Develop Apps → View credentials.",
    )
    client_secret: SecretStr | None = Field(
        default=None, title="LWA client secret", description="From the same page; needed with the identifier."
    )
    access_token: SecretStr | None = Field(default=None, json_schema_extra={"form": False})
    expires_at: datetime | None = Field(default=None, json_schema_extra={"form": False})
    authorized_at: datetime | None = Field(default=None, json_schema_extra={"form": False})

    @field_validator("refresh_token", "client_id", "client_secret", mode="before")
    @classmethod
    def _without_blanks(cls, value: object) -> object:
        return value.strip() or None if isinstance(value, str) else value

    @field_validator("marketplace", mode="before")
    @classmethod
    def _one_we_know(cls, value: object) -> object:
        try:
            return regions.marketplace(value).id if isinstance(value, str) else value
        except regions.UnknownMarketplace as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _a_private_application_has_both_keys(self) -> "AmazonCredentials":
        if (self.client_id is None) != (self.client_secret is None):
            raise ValueError("an application of your own needs both its client identifier and its client secret")
        return self

    @property
    def place(self) -> Marketplace:
        return regions.marketplace(self.marketplace)


class AmazonApp(BaseModel):
    """Our own application at Amazon, and the queue its notifications come to.

    `draft`: the application is not published yet, and Amazon's consent page must be told so. `relay_secret` signs
    what a relay of ours posts in the queue's stead. `cancel_orders`: Amazon's newest operation, not in its published
    models yet, may be used.
    """

    model_config = ConfigDict(frozen=True)

    client_id: str = ""
    client_secret: SecretStr = SecretStr("")
    application_id: str = ""
    draft: bool = False
    queue_url: str = ""
    queue_arn: str = ""
    queue_endpoint: str = ""
    failed_queue_url: str = ""
    queue_consumers: int = 2
    relay_secret: SecretStr = SecretStr("")
    cancel_orders: bool = False


def expires_at(credentials: BaseModel) -> datetime | None:
    """When the access token must be renewed; long ago when there is none yet."""
    held = amazon_credentials(credentials)
    return held.expires_at if held.access_token is not None and held.expires_at is not None else _LONG_AGO


def lapses_at(credentials: BaseModel) -> datetime | None:
    """When the seller's authorization ends unless it is given again; None for an application of the seller's own."""
    held = amazon_credentials(credentials)
    if held.authorized_at is None or held.client_id is not None:
        return None
    return held.authorized_at + AUTHORIZED_FOR


def mailbox(app: BaseModel) -> Mailbox | None:
    """The application's queue; None where none is set up, and orders come by sweep (and relay) alone."""
    ours = amazon_app(app)
    if not ours.queue_url:
        return None
    parts = ours.queue_arn.split(":")
    return Mailbox(
        ours.queue_url,
        region=parts[3] if len(parts) > 3 and parts[3] else _REGION,
        endpoint=ours.queue_endpoint or None,
        failed_url=ours.failed_queue_url or None,
        consumers=ours.queue_consumers,
    )


def webhook_secrets(app: BaseModel, credentials: BaseModel) -> Sequence[str]:
    """What a relayed notification may be signed with; none, and nothing is taken, when no relay is set up."""
    secret = amazon_app(app).relay_secret.get_secret_value()
    return (secret,) if secret else ()


def store_id(typed: str) -> str:
    """What a seller typed → the merchant token. Raises NotASeller."""
    seller = typed.strip().upper()
    if not SELLER.fullmatch(seller):
        raise NotASeller(
            "Type the merchant token, such as A1B2C3D4E5F6G7; in Seller Central it stands under Settings → Account "
            "Info → Your Merchant Token.",
            field="store",
        )
    return seller


def amazon_app(app: BaseModel) -> AmazonApp:
    """The app settings under their own type; a TypeError means that wiring mixed up two vendors."""
    return expected(AmazonApp, app)


def amazon_credentials(credentials: BaseModel) -> AmazonCredentials:
    """The credentials under their own type; a TypeError means that wiring mixed up two vendors."""
    return expected(AmazonCredentials, credentials)
