from typing import Any

import pytest

from shipcrowd.integrations.shopify.subscriptions import TOPICS
from shipcrowd.kernel.outbound import Disconnected, Refused

URL = "https://app.example.in/api/v1/webhooks/shopify/store-1"
OTHER = "https://old.example.in/hooks"


def hook(number: int, topic: str, uri: str = URL, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"gid://shopify/WebhookSubscription/{number}",
        "topic": topic,
        "uri": uri,
        "format": "JSON",
        "filter": None,
        "includeFields": [],
    } | changes


def hooks(*present: dict[str, Any], more: str | None = None) -> dict[str, Any]:
    info = {"hasNextPage": more is not None, "endCursor": more}
    return {"webhookSubscriptions": {"pageInfo": info, "nodes": list(present)}}


MADE = {"webhookSubscriptionCreate": {"webhookSubscription": {"id": "w"}, "userErrors": []}}
REMOVED = {"webhookSubscriptionDelete": {"deletedWebhookSubscriptionId": "w", "userErrors": []}}
ALL_PRESENT = [hook(number, topic) for number, topic in enumerate(TOPICS)]


@pytest.fixture(autouse=True)
def far_side(shop):
    shop.on("Hook", MADE).on("Unhook", REMOVED)


def made(shop) -> list[str]:
    return [v["topic"] for v in shop.variables("Hook")]


def removed(shop) -> list[str]:
    return [v["id"].rsplit("/", 1)[1] for v in shop.variables("Unhook")]


async def test_a_fresh_store_gets_every_topic(shop):
    shop.on("Hooks", hooks())
    topics = await shop.channel().subscribe(URL)
    assert topics == list(TOPICS.values())
    assert set(topics) == {
        "orders/create",
        "orders/updated",
        "orders/cancelled",
        "orders/fulfilled",
        "products/update",
        "inventory_levels/update",
        "app/uninstalled",
        "shop/update",
    }
    assert made(shop) == list(TOPICS)
    assert shop.variables("Hook")[0]["s"] == {"uri": URL, "format": "JSON"}


async def test_a_store_in_order_is_left_alone(shop):
    shop.on("Hooks", hooks(*ALL_PRESENT[:3], more="h1"), hooks(*ALL_PRESENT[3:]))
    assert await shop.channel().subscribe(URL) == list(TOPICS.values())
    assert shop.operations() == ["Hooks", "Hooks"]


async def test_what_points_elsewhere_or_is_double_goes_and_what_is_missing_comes(shop):
    present = [
        *ALL_PRESENT[1:],
        hook(90, "ORDERS_CREATE", OTHER),
        hook(91, "ORDERS_UPDATED"),
        hook(92, "ORDERS_UPDATED", OTHER),
        hook(93, "THEMES_PUBLISH", OTHER),
    ]
    shop.on("Hooks", hooks(*present))
    assert await shop.channel().subscribe(URL) == list(TOPICS.values())
    assert made(shop) == ["ORDERS_CREATE"]
    assert removed(shop) == ["91", "90", "92"]
    # Ours is there before the old one goes, so that nothing falls between.
    assert shop.operations() == ["Hooks", "Unhook", "Hook", "Unhook", "Unhook"]


@pytest.mark.parametrize("narrow", [{"filter": "total_price:>100"}, {"includeFields": ["id"]}, {"format": "XML"}])
async def test_a_narrowed_subscription_is_replaced(shop, narrow: dict[str, Any]):
    shop.on("Hooks", hooks(*ALL_PRESENT[1:], hook(95, "ORDERS_CREATE", **narrow)))
    await shop.channel().subscribe(URL)
    assert shop.operations() == ["Hooks", "Unhook", "Hook"]


async def test_a_topic_shopify_refuses_does_not_keep_the_others_away(shop):
    def answer(variables: dict[str, Any]) -> dict[str, Any]:
        if not variables["topic"].startswith("ORDERS"):
            return MADE
        error = {"field": ["topic"], "message": "You do not have access to this topic"}
        return {"webhookSubscriptionCreate": {"webhookSubscription": None, "userErrors": [error]}}

    shop.on("Hooks", hooks()).on("Hook", answer)
    topics = await shop.channel().subscribe(URL)
    assert topics == ["products/update", "inventory_levels/update", "app/uninstalled", "shop/update"]


async def test_when_every_topic_is_refused_so_are_we(shop):
    error = {"field": ["topic"], "message": "Address is not allowed"}
    shop.on("Hooks", hooks()).on("Hook", {"webhookSubscriptionCreate": {"userErrors": [error]}})
    with pytest.raises(Refused):
        await shop.channel().subscribe(URL)


async def test_unsubscribing_takes_all_of_ours_and_forgives_what_is_gone(shop):
    shop.on("Hooks", hooks(*ALL_PRESENT, hook(93, "THEMES_PUBLISH")))
    gone = {"webhookSubscriptionDelete": {"userErrors": [{"field": ["id"], "message": "Webhook does not exist"}]}}
    shop.on("Unhook", gone, REMOVED)
    await shop.channel().unsubscribe()
    assert len(removed(shop)) == len(TOPICS)


async def test_a_dead_token_is_not_forgiven(shop):
    shop.on("Hooks", hooks(*ALL_PRESENT)).on("Unhook", Disconnected("gone"))
    with pytest.raises(Disconnected):
        await shop.channel().unsubscribe()
