"""Reading a store page by page in a job: how its rate limits are waited for, and how a read is left."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from datetime import timedelta
from typing import Any

from shipcrowd.kernel.jobs import running

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
def in_place() -> Generator[None]:
    """Short waits for a rate limit are slept out here instead of putting the job back: put back in the middle of a
    page it would read that page's orders all over again, and use up the limit once more. Where a vendor gives a page
    every few minutes, the job is put back all the same: a worker is not for sleeping."""
    job = running.get()
    if job is None:
        yield
        return
    before, job.patience = job.patience, SLEPT_OUT
    try:
        yield
    finally:
        job.patience = before
