"""What the API says of returns, and takes."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from shipcrowd.channels.returns_contract import ReturnKind
from shipcrowd.orders.schemas import Input

Action = Literal["approve", "reject", "pickup", "attempt", "complete", "cancel"]


class DecideReturn(Input):
    """`at`: the day a visit is about."""

    at: AwareDatetime | None = None
    comment: str = Field(default="", max_length=300)


class ReturnOut(BaseModel):
    """Units of an order line that come back. `status` is the store's own word; `state` is empty while we do not know
    that word. `may`: what you may say to it now. `decision`: what you said last, and in `decision_state` whether the
    store was asked, has done it, or refused (`decision_because`)."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    external_id: str
    kind: ReturnKind
    state: str | None
    status: str
    units: int
    reason: str
    comment: str
    order_id: UUID | None
    order_number: str | None
    order_external_id: str
    line_external_id: str | None
    shipment_id: UUID | None
    awb: str | None
    carrier: str | None
    location: str
    asked_at: datetime | None
    expected_at: datetime | None
    updated_at: datetime
    may: list[str]
    decision: str | None
    decision_state: str | None
    decision_because: str
    decided_by: str
    decision_asked_at: datetime | None
    decision_ended_at: datetime | None


class ReturnDecided(ReturnOut):
    """The store will be told. `follow`: where to see what it said."""

    follow: str
