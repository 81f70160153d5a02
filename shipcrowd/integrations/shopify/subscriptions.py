"""Which webhooks we want from a store, and making Shopify's list of them match.

Shopify deletes a subscription after eight failed deliveries, so this is run again and again, not once.
"""

from dataclasses import dataclass

import structlog

from shipcrowd.integrations.shopify import documents
from shipcrowd.integrations.shopify.client import ShopifyClient
from shipcrowd.integrations.shopify.raw import next_page, nodes, reading
from shipcrowd.kernel.outbound import Json, Refused

log = structlog.get_logger(__name__)

TOPICS = {
    "ORDERS_CREATE": "orders/create",
    "ORDERS_UPDATED": "orders/updated",
    "ORDERS_CANCELLED": "orders/cancelled",
    "ORDERS_FULFILLED": "orders/fulfilled",
    "PRODUCTS_UPDATE": "products/update",
    "INVENTORY_LEVELS_UPDATE": "inventory_levels/update",
    "APP_UNINSTALLED": "app/uninstalled",
    "SHOP_UPDATE": "shop/update",
}
"""Shopify's enum → the topic as the header of a delivery says it. The compliance topics (customers/*, shop/redact)
cannot be subscribed to: they are set once for the app, in the Partner Dashboard."""

_PAGES = 20


@dataclass(frozen=True)
class _Hook:
    id: str
    topic: str
    uri: str
    whole: bool  # it delivers every event with its whole payload


async def reconcile(client: ShopifyClient, webhook_url: str) -> list[str]:
    """Create what is missing, remove what of ours points elsewhere, is double or narrowed; the topics in force.

    A topic that Shopify refuses (order topics, for an app without access to buyers' data) does not keep the others
    from being made; only when none is in force the refusal is raised.
    """
    kept: set[str] = set()
    surplus: list[_Hook] = []
    for hook in await _present(client):
        if hook.uri == webhook_url and hook.topic not in kept and hook.whole:
            kept.add(hook.topic)
        else:
            surplus.append(hook)
    # One at our own address stands in the way of its replacement; one elsewhere goes only once ours is there.
    for hook in [hook for hook in surplus if hook.uri == webhook_url]:
        await _remove(client, hook.id)
    refusal: Refused | None = None
    for topic in TOPICS:
        if topic in kept:
            continue
        try:
            await client.execute(
                documents.HOOK, {"topic": topic, "s": {"uri": webhook_url, "format": "JSON"}}, repeatable=False
            )
            kept.add(topic)
        except Refused as refused:
            log.warning("shopify_subscription_refused", topic=topic, code=refused.code)
            refusal = refused
    for hook in [hook for hook in surplus if hook.uri != webhook_url]:
        await _remove(client, hook.id)
    if not kept and refusal:
        raise refusal
    return [header for topic, header in TOPICS.items() if topic in kept]


async def remove_all(client: ShopifyClient) -> None:
    """Remove every subscription of ours, wherever it points."""
    for hook in await _present(client):
        await _remove(client, hook.id)


async def _present(client: ShopifyClient) -> list[_Hook]:
    """Our subscriptions at this store to topics of ours; other apps' Shopify does not show."""
    found: list[_Hook] = []
    after: str | None = None
    for _ in range(_PAGES):
        answer = await client.execute(documents.HOOKS, {"after": after}, repeatable=True)
        connection = answer.data.get("webhookSubscriptions")
        with reading("list of subscriptions", connection):
            found += [_hook(node) for node in nodes(connection) if node["topic"] in TOPICS]
        after = next_page(connection)
        if after is None:
            break
    return found


async def _remove(client: ShopifyClient, subscription: str) -> None:
    try:
        await client.execute(documents.UNHOOK, {"id": subscription}, repeatable=True)
    except Refused as refused:
        # Gone already is what we wanted; anything else will show again at the next reconciliation.
        log.info("shopify_unsubscribe_refused", code=refused.code)


def _hook(node: Json) -> _Hook:
    narrowed = node.get("filter") or node.get("includeFields") or node.get("format", "JSON") != "JSON"
    return _Hook(node["id"], node["topic"], node["uri"], whole=not narrowed)
