"""How a sales channel may be asked for orders besides what every one can do."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from shipcrowd.channels.contract import Page


@runtime_checkable
class ReadsSeveral(Protocol):
    async def orders_named(self, external_ids: Sequence[str]) -> Page:
        """These orders (20 at most), read afresh with fewer calls than one each. One the channel does not have is in
        no part of the page."""
        ...


@runtime_checkable
class ListsPlaced(Protocol):
    """A channel that searches by the time of placing too: what a first import asks for."""

    def placed(self, since: datetime) -> AsyncIterator[Page]:
        """Every order placed at or after `since`, in pages, oldest first."""
        ...
