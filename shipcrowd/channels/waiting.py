"""Reading a store page by page in a job: how its rate limits are waited for, how pages are read ahead, and how a read
is left."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from shipcrowd.kernel.running import running

T = TypeVar("T")

AHEAD = 4

SLEPT_OUT = timedelta(seconds=60)
"""The longest a read holds its worker to wait for a rate limit."""


@contextlib.asynccontextmanager
async def closing(pages: AsyncIterator[Any]) -> AsyncGenerator[None]:
    """Close the pages' generator, however its reader leaves."""
    try:
        yield
    finally:
        close: Any = getattr(pages, "aclose", None)
        if close is not None:
            await close()


@contextlib.contextmanager
def in_place(*, goes_on: bool = False) -> Generator[None]:
    """Short waits for a rate limit are slept out here instead of putting the job back: put back in the middle of a
    page it would read that page's orders all over again, and use up the limit once more. Where a vendor gives a page
    every few minutes, the job is put back all the same: a worker is not for sleeping. `goes_on`: it then
    goes on where it was, instead of beginning anew."""
    job = running.get()
    if job is None:
        yield
        return
    before = job.patience, job.goes_on
    job.patience, job.goes_on = SLEPT_OUT, goes_on
    try:
        yield
    finally:
        job.patience, job.goes_on = before


@dataclass(frozen=True)
class _End:
    failure: Exception | None = None


async def ahead(pages: AsyncIterator[T], most: int = AHEAD) -> AsyncGenerator[Sequence[T]]:
    """The pages, read by a task of their own while the reader is busy with those before: each time, all that have come
    meanwhile, some more than `most` at most. What reading them raises is raised behind the last page read. The pages
    are closed."""
    come: asyncio.Queue[T | _End] = asyncio.Queue(most)

    async def read() -> None:
        end = _End()
        try:
            async with closing(pages):
                async for page in pages:
                    await come.put(page)
        except Exception as failure:  # noqa: BLE001 - raised where the pages are used
            end = _End(failure)
        await come.put(end)

    reader = asyncio.create_task(read())
    try:
        while True:
            some = [await come.get()]
            while not come.empty():
                some.append(come.get_nowait())
            found = [each for each in some if not isinstance(each, _End)]
            if found:
                yield found
            if isinstance(end := some[-1], _End):
                if end.failure is not None:
                    raise end.failure
                return
    finally:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
