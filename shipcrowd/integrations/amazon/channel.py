"""Amazon as a sales channel: the client and the mapping, put together."""

import hashlib
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from shipcrowd.channels.contract import (
    Dispatch,
    FeedState,
    FeedTicket,
    Listing,
    MarketplaceLevel,
    Milestone,
    Page,
    SalesChannel,
    StockLevel,
    StockRefusal,
    StoreAccount,
    StoreInfo,
)
from shipcrowd.integrations.amazon import cancelling, fba, listings, mapping, orders, stock, subscriptions, words
from shipcrowd.integrations.amazon import dispatch as dispatching
from shipcrowd.integrations.amazon.account import AmazonCredentials, amazon_app, lapses_at
from shipcrowd.integrations.amazon.client import AmazonClient
from shipcrowd.integrations.amazon.operations import PARTICIPATIONS
from shipcrowd.integrations.amazon.raw import objects, reading, text, within
from shipcrowd.kernel import clock
from shipcrowd.kernel.outbound import Json, Refused
from shipcrowd.orders.schemas import IncomingOrder

_ASKED_AGAIN_AFTER = timedelta(minutes=1)
_ROOM = 10_000


class _Participations:
    """What Amazon said of a seller's marketplaces a moment ago: it may be asked once a minute only."""

    known: ClassVar[dict[str, tuple[datetime, list[dict[str, Json]]]]] = {}


class AmazonChannel:
    """One connected seller at one marketplace. See `channels.contract` for what each method promises."""

    def __init__(self, account: StoreAccount) -> None:
        self._client = AmazonClient(account)

    async def store(self) -> StoreInfo:
        credentials = await self._client.credentials()
        place = credentials.place
        found = await self._participations(credentials)
        with reading("marketplaces", found):
            ours = [each for each in found if text(within(each, "marketplace").get("id")) == place.id]
            taking_part = [each for each in ours if within(each, "participation").get("isParticipating") is True]
            others = sorted(text(within(each, "marketplace").get("countryCode")) for each in found)
        if not taking_part:
            raise Refused(
                "not_participating",
                f"This seller does not sell at Amazon's marketplace {place.country}"
                + (f", but at {', '.join(others)}." if others else "."),
            )
        name = text(taking_part[0].get("storeName"))
        suspended = within(taking_part[0], "participation").get("hasSuspendedListings") is True
        lapses = lapses_at(credentials)
        details = {
            "marketplace": place.id,
            "marketplaces": ", ".join(others),
            "listings": "some are suspended" if suspended else "",
            "sign_in_again_before": lapses.date().isoformat() if lapses else "",
        }
        return StoreInfo(
            external_id=self._client.seller,
            name=name or f"Amazon {place.country} {self._client.seller}",
            currency=place.currency,
            timezone=place.timezone,
            details={key: value for key, value in details.items() if value},
        )

    async def prove(self) -> None:
        await listings.prove(self._client)

    def orders(self, since: datetime) -> AsyncIterator[Page]:
        return orders.found(self._client, since, "lastUpdated")

    def placed(self, since: datetime) -> AsyncIterator[Page]:
        return orders.found(self._client, since, "created")

    async def order(self, external_id: str) -> IncomingOrder:
        return words.notice(mapping.incoming_order(await orders.raw_order(self._client, external_id)))

    async def dispatched(self, order_ref: str, dispatch: Dispatch) -> str | None:
        return await dispatching.confirm(self._client, order_ref, dispatch)

    async def corrected(self, order_ref: str, dispatch: Dispatch) -> str | None:
        return await dispatching.confirm(self._client, order_ref, dispatch)

    async def moved(self, dispatch_ref: str, milestone: Milestone, at: datetime, message: str) -> None:
        """Nothing is told: Amazon follows a confirmed parcel by its tracking number."""

    async def withdrawn(self, dispatch_ref: str) -> None:
        raise Refused(
            "stays_confirmed",
            "Amazon keeps a confirmed parcel: book the order again and the new tracking number replaces it, or cancel "
            "the order at Amazon.",
        )

    async def set_stock(
        self, levels: Sequence[StockLevel], *, singly: bool = False
    ) -> Sequence[StockRefusal] | FeedTicket:
        return await stock.set_stock(self._client, levels, singly=singly)

    async def start_feed(self, reference: str, *, asked_at: datetime | None, known: Collection[str]) -> str:
        return await stock.start(self._client, reference, asked_at=asked_at, known=known)

    async def feed(self, reference: str) -> FeedState:
        return await stock.state(self._client, reference)

    def listings(self) -> AsyncIterator[Sequence[Listing]]:
        return listings.on_sale(self._client)

    def marketplace_stock(self) -> AsyncIterator[Sequence[MarketplaceLevel]]:
        return fba.in_warehouses(self._client)

    async def subscribe(self, webhook_url: str) -> Sequence[str]:
        return await subscriptions.reconcile(self._client)

    async def unsubscribe(self) -> None:
        await subscriptions.remove_all(self._client)

    async def _participations(self, credentials: AmazonCredentials) -> list[dict[str, Json]]:
        # Other credentials than those that were tried a moment ago are another question.
        held = hashlib.sha256(credentials.refresh_token.get_secret_value().encode()).hexdigest()
        key = f"{self._client.account.key}:{credentials.marketplace}:{credentials.client_id}:{held}"
        known = _Participations.known.get(key)
        if known is not None and clock.now() - known[0] < _ASKED_AGAIN_AFTER:
            return known[1]
        found = objects((await self._client.call(PARTICIPATIONS)).get("payload"))
        while len(_Participations.known) >= _ROOM:
            del _Participations.known[next(iter(_Participations.known))]
        _Participations.known[key] = (clock.now(), found)
        return found


class CancellingAmazonChannel(AmazonChannel):
    """The same, where the operator lets orders be cancelled at Amazon."""

    async def cancel_order(self, order_ref: str, reason: str) -> FeedTicket | None:
        return await cancelling.cancel(self._client, order_ref, reason)

    async def cancellation(self, ticket: FeedTicket) -> bool:
        return await cancelling.done(self._client, ticket)


def open_channel(account: StoreAccount) -> SalesChannel:
    """The store, with the abilities the operator allows."""
    channel = CancellingAmazonChannel if amazon_app(account.app).cancel_orders else AmazonChannel
    return channel(account)


def forget_participations() -> None:
    """Drop what this process was told of sellers' marketplaces."""
    _Participations.known.clear()
