"""Amazon's JSON, read without trusting its shape, and moments as Amazon writes them."""

from datetime import UTC, datetime
from functools import partial

from shipcrowd.kernel import replies
from shipcrowd.kernel.outbound import Json

obj = partial(replies.obj, "Amazon")
entries = partial(replies.entries, "Amazon")
objects = partial(replies.objects, "Amazon")
text = partial(replies.text, "Amazon")
reading = partial(replies.reading, "Amazon")
shown = replies.shown


def within(value: Json, *steps: str) -> dict[str, Json]:
    """The object at the end of a path of fields; empty where a part is missing."""
    for step in steps:
        value = obj(value).get(step)
    return obj(value)


def stamp(moment: datetime) -> str:
    """A moment as Amazon writes and reads it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
