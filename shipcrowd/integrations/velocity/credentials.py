"""What a seller (or the platform) types to connect Velocity, and the token we keep beside it."""

import re
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from shipcrowd.pincodes.address import indian_mobile

DEFAULT_CHANNEL = "27202"


class VelocityCredentials(BaseModel):
    """A Velocity login. `token` and `token_expires_at` are ours: the client renews them and no form asks for them."""

    model_config = ConfigDict(frozen=True)

    username: str = Field(title="Registered mobile number", description="With the country code: +919800000001")
    password: SecretStr = Field(title="Password", min_length=1)
    channel_id: str = Field(
        default=DEFAULT_CHANNEL, title="Channel id", description="Leave it unless Velocity gave one"
    )
    webhook_secret: SecretStr | None = Field(default=None, title="Webhook secret")
    token: SecretStr | None = Field(default=None, json_schema_extra={"form": False})
    token_expires_at: datetime | None = Field(default=None, json_schema_extra={"form": False})

    @field_validator("username")
    @classmethod
    def _with_country_code(cls, typed: str) -> str:
        mobile = indian_mobile(typed)
        if mobile is None:
            raise ValueError("the username at Velocity is an Indian mobile number, such as +919800000001")
        return f"+91{mobile}"

    @field_validator("channel_id")
    @classmethod
    def _channel(cls, typed: str) -> str:
        channel = typed.strip() or DEFAULT_CHANNEL
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", channel):
            raise ValueError("a channel id is made of letters and digits")
        return channel


def username(credentials: BaseModel) -> str:
    """The login an account is told from others by: `+919800000001`."""
    assert isinstance(credentials, VelocityCredentials)
    return credentials.username
