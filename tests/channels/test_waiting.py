"""Pages read ahead of their use, and small ones put together."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import pytest

from shipcrowd.channels import importing, waiting
from shipcrowd.channels.contract import FailedItem, Page
from shipcrowd.kernel import clock
from shipcrowd.kernel.outbound import Unavailable
from tests.channels.bazaar import order


class Pages:
    """`count` pages; then `failure`, if there is one."""

    def __init__(self, count: int, failure: Exception | None = None) -> None:
        self.count, self.failure = count, failure
        self.read = 0
        self.closed = False

    async def all(self) -> AsyncGenerator[int]:
        try:
            for number in range(self.count):
                await asyncio.sleep(0)
                self.read = number + 1
                yield number
            if self.failure is not None:
                raise self.failure
        finally:
            self.closed = True


async def test_pages_come_in_order_and_those_that_came_meanwhile_together():
    pages, groups = Pages(9), []
    async for some in waiting.ahead(pages.all(), most=3):
        groups.append(list(some))
        for _ in range(20):
            await asyncio.sleep(0)
    assert [page for group in groups for page in group] == list(range(9))
    assert max(map(len, groups)) > 1
    assert pages.closed


async def test_no_more_is_read_ahead_than_allowed():
    pages = Pages(100)
    async with contextlib.aclosing(waiting.ahead(pages.all(), most=3)) as groups:
        async for some in groups:
            for _ in range(50):
                await asyncio.sleep(0)
            # Three that wait, and one in the hand of whoever reads.
            assert pages.read <= some[-1] + 1 + 3 + 1
            break
    assert pages.closed
    assert pages.read < 10


async def test_what_reading_raises_is_raised_behind_the_pages_before_it():
    seen: list[int] = []
    with pytest.raises(Unavailable):
        async for some in waiting.ahead(Pages(5, Unavailable("gone")).all()):
            seen += some
    assert seen == [0, 1, 2, 3, 4]


async def test_leaving_early_ends_the_reading():
    pages = Pages(1000)
    with pytest.raises(LookupError):
        async with contextlib.aclosing(waiting.ahead(pages.all())) as groups:
            async for _ in groups:
                raise LookupError
    assert pages.closed


def test_small_pages_are_put_together_and_large_ones_left_alone():
    def page(first: int, orders: int, *, failed: int = 0, through=None) -> Page:
        return Page(
            tuple(order(f"{first}-{n}") for n in range(orders)),
            tuple(FailedItem(f"f{first}-{n}", "", None) for n in range(failed)),
            through,
        )

    early, late = clock.now(), clock.now()
    pages = [page(1, 40, through=early), page(2, 50, failed=1, through=late), page(3, 60), page(4, 250)]
    joined = importing.together(pages)
    assert [(len(each.orders), len(each.failed), count) for each, count in joined] == [
        (90, 1, 2),
        (60, 0, 1),
        (250, 0, 1),
    ]
    assert joined[0][0].through == late
    assert [each.external_id for each, _ in joined for each in each.orders] == [
        each.external_id for page in pages for each in page.orders
    ]
