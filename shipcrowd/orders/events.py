"""What others may want to know of orders."""

from dataclasses import dataclass
from uuid import UUID

from shipcrowd.kernel.events import Event


@dataclass(frozen=True)
class OrdersPlaced(Event):
    """New orders came in: at most 100 a message."""

    order_ids: tuple[UUID, ...]


@dataclass(frozen=True)
class OrdersChanged(Event):
    """Known orders changed at their source or by hand."""

    order_ids: tuple[UUID, ...]


@dataclass(frozen=True)
class BuyersRedacted(Event):
    """Who bought was removed from these orders (at most 100 a message): whoever holds more of it removes that too."""

    order_ids: tuple[UUID, ...]


@dataclass(frozen=True)
class OrderCancelAsked(Event):
    """The channel cancelled an order that is already in our hands."""

    order_id: UUID
