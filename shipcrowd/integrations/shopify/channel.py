"""Shopify as a sales channel: the client and the mapping, put together."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import structlog

from shipcrowd.channels.contract import (
    Dispatch,
    FailedItem,
    Listing,
    Milestone,
    Page,
    StockLevel,
    StockRefusal,
    StoreAccount,
    StoreInfo,
)
from shipcrowd.integrations.shopify import dispatch as dispatching
from shipcrowd.integrations.shopify import documents, mapping, oauth, stock, subscriptions, watch, words
from shipcrowd.integrations.shopify.client import Rejected, ShopifyClient
from shipcrowd.integrations.shopify.raw import next_page, nodes, obj, objects, reading
from shipcrowd.integrations.shopify.words import gid, tail
from shipcrowd.kernel.outbound import Json, Malformed, Refused
from shipcrowd.orders.schemas import IncomingOrder

log = structlog.get_logger(__name__)

_MORE_LINES_PAGES = 40  # of 50: an order has at most 500 lines today
_DEPTH = 20_000  # Shopify's cursors end at 25,000 records; we start a fresh search before


class ShopifyChannel:
    """One connected store. See `channels.contract` for what each method promises."""

    def __init__(self, account: StoreAccount) -> None:
        self._client = ShopifyClient(account)

    async def store(self) -> StoreInfo:
        answer = await self._client.execute(documents.SHOP_INFO, {}, repeatable=True)
        shop, installation = obj(answer.data.get("shop")), obj(answer.data.get("currentAppInstallation"))
        with reading("shop", shop):
            scopes = [scope["handle"] for scope in objects(installation.get("accessScopes"))]
            details: dict[str, str] = {"shop": shop["id"], "plan": obj(shop.get("plan")).get("publicDisplayName") or ""}
            domain, name = shop["myshopifyDomain"].lower(), shop["name"]
        missing = oauth.missing_scopes(scopes)
        if "read_locations" not in missing:
            details |= await self._locations()
        return StoreInfo(
            external_id=domain,
            name=name,
            currency=shop.get("currencyCode") or "INR",
            timezone=shop.get("ianaTimezone") or "Asia/Kolkata",
            email=shop.get("email") or None,
            missing_scopes=missing,
            details={key: value for key, value in details.items() if value},
        )

    async def orders(self, since: datetime) -> AsyncIterator[Page]:
        # A page of rich orders would cost several times what one query may: ids are scanned, orders read one by
        # one. A list sorted by the time of change only ever grows at its end, so nothing slips through.
        mark, after, depth = since, None, 0
        while True:
            scan = {"first": documents.SCAN_PAGE, "after": after, "q": _changed_since(mark)}
            answer = await self._client.execute(documents.ORDERS_SCAN, scan, repeatable=True)
            connection = obj(answer.data.get("orders"))
            with reading("list of orders", connection):
                changed = [(node["id"], datetime.fromisoformat(node["updatedAt"])) for node in nodes(connection)]
            if not changed:
                return
            reached = changed[-1][1]
            yield await self._page([order for order, _ in changed], reached)
            after, depth = next_page(connection), depth + len(changed)
            if after is None:
                return
            if depth >= _DEPTH:
                if reached <= mark:
                    raise Malformed(f"Shopify lists over {_DEPTH} orders changed at one moment, {mark.isoformat()}")
                mark, after, depth = reached, None, 0

    async def order(self, external_id: str) -> IncomingOrder:
        raw, withheld = await self._raw_order(gid("Order", external_id))
        return watch.notice(mapping.incoming_order(raw, withheld=withheld))

    async def listings(self) -> AsyncIterator[Sequence[Listing]]:
        after: str | None = None
        query: str | None = None
        depth = 0
        while True:
            variables: dict[str, Json] = {"first": documents.VARIANTS_PAGE, "after": after, "q": query}
            answer = await self._client.execute(documents.VARIANTS, variables, repeatable=True)
            connection = obj(answer.data.get("productVariants"))
            variants = nodes(connection)
            if variants:
                yield [found for node in variants if (found := _listing(node))]
            after, depth = next_page(connection), depth + len(variants)
            if after is None:
                return
            if depth >= _DEPTH:  # variants come in the order of their ids
                with reading("variant", variants[-1]):
                    after, query, depth = None, f"id:>={int(tail(variants[-1]['id'])) + 1}", 0

    async def set_stock(self, levels: Sequence[StockLevel], *, singly: bool = False) -> Sequence[StockRefusal]:
        # Shopify takes no files: it always answers for each level.
        return await stock.push(self._client, levels)

    async def dispatched(self, order_ref: str, dispatch: Dispatch) -> str | None:
        return await dispatching.announce(self._client, gid("Order", order_ref), dispatch)

    async def moved(self, dispatch_ref: str, milestone: Milestone, at: datetime, message: str) -> None:
        for fulfilment in dispatch_ref.split():
            event = {
                "fulfillmentId": gid("Fulfillment", fulfilment),
                "status": words.EVENTS[milestone],
                "happenedAt": _moment(at),
                "message": message,
            }
            await self._client.execute(documents.TRACK_EVENT, {"e": event}, repeatable=False)

    async def withdrawn(self, dispatch_ref: str) -> None:
        for ref in dispatch_ref.split():
            fulfilment = gid("Fulfillment", ref)
            try:
                await self._client.execute(documents.CANCEL_FULFILMENT, {"id": fulfilment}, repeatable=True)
            except Rejected:
                if not await self._is_withdrawn(fulfilment):
                    raise

    async def cancel_order(self, order_ref: str, reason: str) -> None:
        # Money is not moved: whether and how to refund is the seller's decision, made at Shopify. The units go back
        # on sale, since nothing has left.
        order = gid("Order", order_ref)
        asked = {"id": order, "reason": words.cancel_reason(reason), "restock": True, "m": None}
        try:
            await self._client.execute(documents.CANCEL_ORDER, asked, repeatable=True)
        except Rejected:
            if (await self._standing(order)).get("cancelledAt") is None:
                raise

    async def paid_on_delivery(self, order_ref: str) -> None:
        order = gid("Order", order_ref)
        try:
            await self._client.execute(documents.PAID_ON_DELIVERY, {"input": {"id": order}}, repeatable=True)
        except Rejected:
            if (await self._standing(order)).get("displayFinancialStatus") != "PAID":
                raise

    async def subscribe(self, webhook_url: str) -> Sequence[str]:
        return await subscriptions.reconcile(self._client, webhook_url)

    async def unsubscribe(self) -> None:
        await subscriptions.remove_all(self._client)

    async def _page(self, ids: Sequence[str], through: datetime) -> Page:
        orders: list[IncomingOrder] = []
        failed: list[FailedItem] = []
        for order in ids:
            raw: Json = {"id": order}
            try:
                raw, withheld = await self._raw_order(order)
                orders.append(watch.notice(mapping.incoming_order(raw, withheld=withheld)))
            except Malformed as error:
                failed.append(FailedItem(tail(order), str(error), raw))
            except Refused as refusal:
                if refusal.code != "not_found":
                    raise  # what refuses one order refuses them all
                log.info("shopify_order_vanished", order=tail(order))
        return Page(tuple(orders), tuple(failed), through=through)

    async def _raw_order(self, order: str) -> tuple[Json, bool]:
        """The order with all its lines, and whether Shopify keeps the buyer from us."""
        answer = await self._client.execute(documents.ORDER_BY_ID, {"id": order}, repeatable=True)
        raw = answer.data.get("order")
        if raw is None:
            raise Refused("not_found", "Shopify has no such order, or no longer shows it to us (it shows 60 days).")
        lines = obj(raw.get("lineItems"))
        after = next_page(lines)
        for _ in range(_MORE_LINES_PAGES):
            if after is None:
                return raw, answer.withheld
            more = await self._client.execute(documents.MORE_LINES, {"id": order, "after": after}, repeatable=True)
            connection = obj(obj(more.data.get("order")).get("lineItems"))
            lines["nodes"] = [*lines["nodes"], *nodes(connection)]
            after = next_page(connection)
        raise Malformed(f"the order has more than {len(lines['nodes'])} lines")

    async def _standing(self, order: str) -> Json:
        answer = await self._client.execute(documents.ORDER_STANDING, {"id": order}, repeatable=True)
        return obj(answer.data.get("order"))

    async def _is_withdrawn(self, fulfilment: str) -> bool:
        answer = await self._client.execute(
            documents.FULFILMENT_LINES, {"id": fulfilment, "after": None}, repeatable=True
        )
        return obj(answer.data.get("fulfillment")).get("status") == "CANCELLED"

    async def _locations(self) -> dict[str, str]:
        """`location.<id>` → name: the places stock is set at."""
        answer = await self._client.execute(documents.LOCATIONS, {}, repeatable=True)
        with reading("list of locations", answer.data):
            return {f"location.{tail(node['id'])}": node["name"] for node in nodes(answer.data["locations"])}


def _listing(node: Json) -> Listing | None:
    try:
        return mapping.listing(node)
    except Malformed as error:
        log.warning("shopify_variant_unreadable", reason=str(error))
        return None


def _changed_since(mark: datetime) -> str:
    """Shopify's search syntax breaks on the colons of a time that is not quoted; without a status it hides archived
    and cancelled orders."""
    return f"updated_at:>='{_moment(mark)}' AND status:any"


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
