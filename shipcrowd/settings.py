"""Every setting of the product, read from the environment (`SHIPCROWD_…`) or a `.env` file.

`.env.example` lists them all; a test holds it to that. No secret has a default: outside the demo and the tests a
missing one stops the process with its name.
"""

from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """See `.env.example` for what each one means to an operator."""

    model_config = SettingsConfigDict(env_prefix="SHIPCROWD_", env_file=".env", extra="ignore")

    owner_database_url: str | None = None
    """postgresql:// URL of the role that owns the schema (migrations only). Unset: the embedded engine."""
    app_database_url: str | None = None
    """postgresql:// URL of the role the API and workers use; must not own tables nor bypass row security."""
    data_dir: Path = Path("var")
    """Where the embedded database and local documents live."""
    database_pool: int = Field(default=10, ge=1, le=200)
    """Connections per process."""

    public_url: str = "http://127.0.0.1:8000"
    """How browsers and vendors reach us; webhook addresses and sign-in redirects are built from it."""
    host: str = "127.0.0.1"
    port: int = 8000
    environment: Literal["demo", "test", "development", "production"] = "production"
    log_level: str = "INFO"
    log_format: Literal["json", "text"] = "json"

    encryption_keys: SecretStr | None = None
    """`id:base64key[,id:base64key…]`, newest first, 32 bytes each. `shipcrowd keys new` makes one."""
    search_key: SecretStr | None = None
    """Base64, 32 bytes: keys the HMACs that phone and e-mail are searched by. Never rotated silently."""

    documents_url: str | None = None
    """file:///path or s3://bucket/prefix?endpoint=…&region=…; default: a folder in `data_dir`."""

    sandbox: bool = False
    """Vendors' addresses point at the stand-ins. Never a silent default."""
    sandbox_url: str = "http://127.0.0.1:8100"
    outbound_read_seconds: float | None = Field(default=None, gt=0)
    """The longest to wait for any vendor's answer, below what each operation allows. For sandboxes and drills."""

    worker_concurrency: int = Field(default=20, ge=1, le=500)
    job_heartbeat_seconds: float = Field(default=30, ge=1)
    """A job whose worker has been silent this long is given to another."""
    job_log_days: int = Field(default=7, ge=1)

    shopify_client_id: str = ""
    shopify_client_secret: SecretStr = SecretStr("")
    shopify_old_client_secret: SecretStr = SecretStr("")
    """During a rotation of the app's secret: webhooks signed with it are still accepted."""
    shopify_api_version: str = "2026-10"

    flipkart_app_id: str = ""
    flipkart_app_secret: SecretStr = SecretStr("")
    flipkart_base_url: str = "https://api.flipkart.net"
    flipkart_webhook_secret: SecretStr = SecretStr("")
    """Notifications with an `X-Flipkart-Signature` are checked with it, where a store has none of its own."""
    flipkart_webhook_url: str = ""
    """Where Flipkart has our notification addresses registered, up to the seller's id. Unset: under `public_url`."""
    flipkart_webhook_window_seconds: int = Field(default=900, ge=60)
    """A signed notification older than this is refused."""

    amazon_client_id: str = ""
    amazon_client_secret: SecretStr = SecretStr("")
    amazon_application_id: str = ""
    """The application's id in Seller Central's developer console, for the consent page."""
    amazon_draft: bool = False
    """The application is not published yet: the consent page must be told so."""
    amazon_queue_url: str = ""
    amazon_queue_arn: str = ""
    amazon_queue_endpoint: str = ""
    """Where SQS is, when it is not Amazon's own (a stand-in)."""
    amazon_failed_queue_url: str = ""
    """The queue behind it, to which its redrive policy leads; it is read as well."""
    amazon_queue_consumers: int = Field(default=2, ge=1, le=20)
    amazon_relay_secret: SecretStr = SecretStr("")
    """Signs notifications that a relay of the operator's posts to us in the queue's stead."""
    amazon_cancel_orders: bool = False
    """Orders may be cancelled at Amazon by its newest operation, which its published models lack so far."""

    buyer_data_days: int = Field(default=180, ge=1)
    """Who bought is forgotten so many days after an order ended; sooner where a channel wants it so."""
    failed_delivery_days: int = Field(default=30, ge=1)
    """What could not be read (webhooks, orders of a store) loses its content after so many days."""

    session_days: int = Field(default=14, ge=1)
    webhook_body_bytes: int = 1024 * 1024
    request_body_bytes: int = 10 * 1024 * 1024
    metrics_token: SecretStr | None = None
    """When set, /metrics wants it as a bearer token."""

    @property
    def is_production(self) -> bool:
        return self.environment == "production"


@cache
def settings() -> Settings:
    """The process's settings, read once. Tests clear the cache after changing the environment."""
    return Settings()
