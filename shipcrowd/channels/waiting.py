"""Reading a store page by page in a job: how its rate limits are waited for, and how a read is left."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from typing import Any

from shipcrowd.kernel.jobs import running


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
    """Rate limits are slept out here instead of putting the job back: put back in the middle of a page it would read
    that page's orders all over again, and use up the limit once more."""
    token = running.set(None)
    try:
        yield
    finally:
        running.reset(token)
