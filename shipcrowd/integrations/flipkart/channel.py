"""Flipkart as a sales channel: the client and the mapping, put together."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime

from shipcrowd.channels.contract import (
    Dispatch,
    Listing,
    Milestone,
    Page,
    ParcelRefusal,
    PriceChange,
    ReadyParcel,
    StockLevel,
    StockRefusal,
    StoreAccount,
    StoreInfo,
)
from shipcrowd.channels.returns_contract import ChannelReturn, ReturnDecision, ReturnResult
from shipcrowd.integrations.flipkart import client, handing, listings, mapping, returns, selfship, sync, words
from shipcrowd.integrations.flipkart.client import FlipkartClient, outcomes
from shipcrowd.integrations.flipkart.reading import first, obj, objects, reading, text
from shipcrowd.kernel.outbound import Json, Refused
from shipcrowd.orders.schemas import IncomingOrder


class FlipkartChannel:
    """One connected store. See `channels.contract` for what each method promises."""

    def __init__(self, account: StoreAccount) -> None:
        self.account = account
        self._client = FlipkartClient(account)
        self._hurried = FlipkartClient(account, hurried=True)

    async def store(self) -> StoreInfo:
        """Flipkart has no call that says who one is: the locations are the seller's, and name them where they can."""
        try:
            answer = await self._client.call(client.LOCATIONS)
        except Refused as refusal:
            if refusal.code != "not_found":
                raise
            # Live clients call it, the documents do not name it: without it, any search tells that the token works.
            await sync.probe(self._client)
            answer = []
        found = objects(answer if isinstance(answer, list) else obj(answer).get("locations"))
        seller = next((named for raw in found if (named := text(first(raw, "sellerId", "seller_id")))), "").lower()
        if seller and seller != self.account.external_id:
            raise Refused("wrong_seller", f"These credentials are of the seller {seller}; type that id.")
        with reading("list of locations", answer):
            places = {
                f"location.{text(first(raw, 'locationId', 'id'))}": _place(raw)
                for raw in found
                if first(raw, "locationId", "id") is not None
            }
        return StoreInfo(
            external_id=self.account.external_id, name=f"Flipkart {self.account.external_id}", details=places
        )

    async def orders(self, since: datetime) -> AsyncIterator[Page]:
        async for page in sync.changed(self._client, since):
            yield page

    async def order(self, external_id: str) -> IncomingOrder:
        raw, details = await sync.one(self._client, external_id)
        return sync.noticed(mapping.incoming_order(raw, details))

    async def orders_named(self, external_ids: Sequence[str]) -> Page:
        return await sync.named(self._client, external_ids)

    async def listings(self) -> AsyncIterator[Sequence[Listing]]:
        async for some in listings.on_sale(self._client):
            yield some

    async def stock(self, skus: Sequence[str]) -> Mapping[str, Mapping[str, int] | None]:
        """SKU → location → units on sale; None where Flipkart does not say."""
        return await listings.stock(self._client, skus)

    async def set_stock(self, levels: Sequence[StockLevel], *, singly: bool = False) -> Sequence[StockRefusal]:
        # Flipkart takes no files: it always answers for each SKU.
        return await listings.set_stock(self._client, levels)

    async def set_prices(self, changes: Sequence[PriceChange]) -> Sequence[StockRefusal]:
        return await listings.set_prices(self._client, changes)

    async def dispatched(self, order_ref: str, dispatch: Dispatch) -> str | None:
        return await selfship.dispatched(self._client, order_ref, dispatch)

    async def moved(self, dispatch_ref: str, milestone: Milestone, at: datetime, message: str) -> None:
        await selfship.moved(self._client, dispatch_ref, milestone, at, message)

    async def withdrawn(self, dispatch_ref: str) -> None:
        await selfship.withdrawn(self._client, dispatch_ref)

    async def rescheduled(self, dispatch_ref: str, expected: datetime) -> None:
        await selfship.rescheduled(self._client, dispatch_ref, expected)

    async def ready_to_dispatch(self, parcels: Sequence[ReadyParcel]) -> Sequence[ParcelRefusal]:
        return await handing.ready(self._hurried, parcels)

    async def cancel_order(self, order_ref: str, reason: str) -> None:
        """Only what is not packed yet. Flipkart takes the listing off sale and counts it against the seller."""
        how = await sync.state_of(self._client, order_ref)
        if how.status in words.CANCELLED:
            return
        if how.step is None or how.step >= words.STEPS["PACKED"]:
            raise Refused("already_packed", "Flipkart lets a seller cancel before packing only.")
        groups = dict.fromkeys(text(item.raw.get("cancellationGroupId")) for item in how.items if item.live)
        asked: dict[str, Json] = {
            "shipmentId": how.id,
            "locationId": how.location,
            "reason": words.cancel_reason(reason),
            "cancellationGroupIds": [group for group in groups if group],
        }
        answer = await self._client.call(client.CANCEL, body={"shipments": [asked]})
        outcomes(answer, [how.id])[0].or_raise()

    async def returns(self, since: datetime) -> AsyncIterator[Sequence[ChannelReturn]]:
        async for some in returns.changed(self._client, since):
            yield some

    async def returns_named(self, external_ids: Sequence[str]) -> Sequence[ChannelReturn]:
        return await returns.named(self._hurried, external_ids)

    async def decide_returns(self, decisions: Sequence[ReturnDecision]) -> Sequence[ReturnResult]:
        return await returns.decide(self._client, decisions)


def _place(raw: Mapping[str, Json]) -> str:
    return text(first(raw, "locationName", "name", "displayName")) or text(first(raw, "locationId", "id"))
