"""Shopify's JSON, read without trusting its shape, page by page of a connection."""

from functools import partial

from shipcrowd.kernel import replies
from shipcrowd.kernel.outbound import Json

obj = partial(replies.obj, "Shopify")
entries = partial(replies.entries, "Shopify")
objects = partial(replies.objects, "Shopify")
reading = partial(replies.reading, "Shopify")
shown = replies.shown


def nodes(connection: Json) -> list[dict[str, Json]]:
    """The records of one page of a connection."""
    return objects(obj(connection).get("nodes"))


def next_page(connection: Json) -> str | None:
    """The cursor to go on from, or None after the last page."""
    info = obj(obj(connection).get("pageInfo"))
    return info.get("endCursor") if info.get("hasNextPage") else None
