"""What the store endpoints take and give, and the settings a store has."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class StoreSettings(BaseModel):
    """How a store is read and told. Kept with its connection."""

    model_config = ConfigDict(extra="ignore")

    import_days: int = Field(default=30, ge=0, le=365, description="How far back orders are read at the first sweep")
    sweep_minutes: int | None = Field(
        default=None, ge=5, le=1440, description="How often the store is swept; null: as often as its channel suggests"
    )
    announce: bool = Field(default=True, description="Tell the store of parcels and how they fare")
    notify_buyer: bool = Field(default=True, description="Let the store write to the buyer when a parcel is booked")


class StoreSettingsChange(BaseModel):
    """Only what is given changes."""

    model_config = ConfigDict(extra="forbid")

    import_days: int | None = Field(default=None, ge=0, le=365)
    sweep_minutes: int | None = Field(default=None, ge=5, le=1440)
    announce: bool | None = None
    notify_buyer: bool | None = None


class ConnectStore(BaseModel):
    """Credentials pasted by the seller; the fields are those of the channel's form (`GET /integrations`)."""

    model_config = ConfigDict(extra="forbid")

    store: str = Field(min_length=1, max_length=300, description="The store's address or id, as typed")
    credentials: dict[str, SecretStr | None] = Field(max_length=20)
    import_days: int = Field(default=30, ge=0, le=365)


class FieldOut(BaseModel):
    """One field of a channel's connect form."""

    name: str
    title: str
    help: str
    secret: bool
    required: bool


class ChannelOut(BaseModel):
    """A sales channel a store can be connected from."""

    slug: str
    name: str
    sign_in: bool
    pasted: bool
    fields: list[FieldOut]


class HealthOut(BaseModel):
    """How a store fares. `level`: ok | attention | broken; `words` say why and what to do."""

    connection_id: UUID
    platform: str
    name: str
    level: str
    words: str
    lag_seconds: int | None
    last_sweep_at: datetime | None
    next_sweep_at: datetime | None
    last_webhook_at: datetime | None
    open_failures: int
    refused_announcements: int


class HealthOfAllOut(BaseModel):
    level: str
    stores: list[HealthOut]


class StoreOut(BaseModel):
    """A connected store."""

    id: UUID
    platform: str
    external_id: str
    name: str
    status: str
    reason: str
    connected_at: datetime
    orders_imported: int
    topics: list[str]
    missing_scopes: list[str]
    settings: StoreSettings
    health: HealthOut


class StoreDetailOut(StoreOut):
    """`abilities`: what the channel can do besides handing over orders."""

    abilities: list[str]
    webhook_url: str


class TestOut(BaseModel):
    """What came of a trial call. `ok` false: `problem` says what to do."""

    ok: bool
    name: str | None = None
    external_id: str | None = None
    currency: str | None = None
    missing_scopes: list[str] = []
    problem: str | None = None


class SyncEntryOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    what: str
    started_at: datetime
    finished_at: datetime | None
    pages: int
    inserted: int
    updated: int
    unchanged: int
    failed: int
    error: str


class FailedItemOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    connection_id: UUID
    external_id: str
    reason: str
    times: int
    failed_at: datetime
    resolved_at: datetime | None


class FailedItemDetailOut(FailedItemOut):
    raw: Any


class DeliveryOut(BaseModel):
    """One webhook delivery, without its body."""

    id: UUID
    topic: str
    delivery_id: str
    received_at: datetime
    handled_at: datetime | None
    outcome: str
    note: str


class AnnouncementOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    connection_id: UUID
    shipment_id: UUID
    order_ref: str
    state: str
    last_milestone: str | None
    last_error: str
    created_at: datetime
    sent_at: datetime | None


class Accepted(BaseModel):
    """It was put in the queue."""

    accepted: bool = True


class Replaying(Accepted):
    """So many failed items were put in the queue."""

    items: int
