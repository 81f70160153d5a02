"""Keyset pages: `?after=<cursor>&limit=<n>`. A cursor is where the last page ended, so that page 1,000 costs what
page 1 does, and rows that arrive meanwhile move nothing."""

import base64
import json
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy import ColumnElement, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from shipcrowd.kernel.errors import Invalid

T = TypeVar("T")
Row = TypeVar("Row")

Limit = Annotated[int, Field(ge=1, le=200, description="Rows a page")]
Day = Annotated[date, Field(ge=date(2000, 1, 1), lt=date(2200, 1, 1))]
"""A day to filter by: at the ends of the calendar a time zone leads out of it."""
After = Annotated[str | None, Field(max_length=400, description="The `next` of the page before")]


class Keyset(BaseModel):
    """The page part of a list's query; mixed into its filters, which forbid unknown names."""

    after: After = None
    limit: Limit = 50


class Page(BaseModel, Generic[T]):
    """`next` is None on the last page."""

    items: list[T]
    next: str | None


def cursor(at: datetime, row_id: UUID) -> str:
    return base64.urlsafe_b64encode(json.dumps([at.isoformat(), str(row_id)]).encode()).decode().rstrip("=")


def parse(after: str) -> tuple[datetime, UUID]:
    """Raises Invalid for a cursor we did not make."""
    try:
        at, row_id = json.loads(base64.urlsafe_b64decode(after + "=" * (-len(after) % 4)))
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None:
            raise ValueError("naive")
        return moment.astimezone(UTC), UUID(str(row_id))
    except (ValueError, TypeError, OverflowError) as error:
        raise Invalid("take `after` from the `next` of a page", field="after") from error


def older_than(
    at: InstrumentedAttribute[datetime], row_id: InstrumentedAttribute[UUID], after: str
) -> ColumnElement[bool]:
    """The condition for newest-first lists."""
    moment, last = parse(after)
    return tuple_(at, row_id) < tuple_(moment, last)


def page(
    rows: Sequence[Row], limit: int, key: Callable[[Row], tuple[datetime, UUID]]
) -> tuple[Sequence[Row], str | None]:
    """Of `limit + 1` rows asked for: the page, and the cursor of the next one, if there is one."""
    if len(rows) <= limit:
        return rows, None
    kept = rows[:limit]
    return kept, cursor(*key(kept[-1]))
