"""What operators should see when Shopify drifts away from what this code was written against."""

import structlog
from prometheus_client import Counter

from shipcrowd.integrations.shopify.words import unknown_words
from shipcrowd.orders.schemas import IncomingOrder

log = structlog.get_logger(__name__)

VERSION_MISMATCH = Counter(
    "shipcrowd_shopify_version_mismatch_total", "Replies served by another API version than asked", ["asked", "served"]
)
UNKNOWN_WORDS = Counter("shipcrowd_shopify_unknown_words_total", "Enum values this version does not know", ["field"])


def served(asked: str, version: str | None, store: str) -> None:
    """Note the version a reply says it was served by; an expired one silently falls forward to another."""
    if version is not None and version != asked:
        VERSION_MISMATCH.labels(asked, version).inc()
        log.warning("shopify_version_mismatch", asked=asked, served=version, store=store)


def notice(order: IncomingOrder) -> IncomingOrder:
    """Count the words in this order that we do not know; the order itself goes on unchanged."""
    for field, word in unknown_words(order.attributes):
        UNKNOWN_WORDS.labels(field).inc()
        log.warning("shopify_unknown_word", field=field, word=word[:60], order=order.external_id)
    return order
