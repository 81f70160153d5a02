"""The job a task runs, as far as what it calls needs to know of it, and how it is put back."""

import contextlib
from collections.abc import Generator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from shipcrowd.kernel import clock


class Later(Exception):
    """Raised in a job to be run again after `delay`; not a failure and not a try.

    `slots` are places in rate limits the job already holds (see `kernel.pace`), `tokens` how many calls one of them is
    for where that is more than one, and `missed` how many in a row it came too late for; they are kept with it.
    """

    def __init__(
        self,
        delay: timedelta,
        *,
        slots: Mapping[str, datetime] | None = None,
        tokens: Mapping[str, float] | None = None,
        missed: int = 0,
    ) -> None:
        super().__init__(f"again in {delay.total_seconds():.1f} s")
        self.delay = delay
        self._at = clock.now() + delay
        self.slots = dict(slots or {})
        self.tokens = dict(tokens or {})
        self.missed = missed

    @property
    def left(self) -> timedelta:
        """What is left of the delay by now."""
        return max(self._at - clock.now(), timedelta(0))

    def headers(self) -> dict[str, Any]:
        """What is kept with the job."""
        slots = {key: at.isoformat() for key, at in self.slots.items()}
        return {"slots": slots, "tokens": self.tokens, "missed": self.missed}


@dataclass
class Running:
    """The job this task runs: what `kernel.pace` needs to know of it. A place in a rate limit that comes within
    `patience` is waited for; for a later one the job is put back."""

    name: str
    slots: dict[str, datetime] = field(default_factory=dict[str, datetime])
    patience: timedelta = timedelta(seconds=2)
    missed: int = 0
    tokens: dict[str, float] = field(default_factory=dict[str, float])
    spent: dict[Any, float] = field(default_factory=dict[Any, float])
    """What it took in this run, by bucket."""
    goes_on: bool = False
    """Put back, it goes on where it was; else it makes its calls all over again."""


running: ContextVar[Running | None] = ContextVar("running", default=None)


@contextlib.contextmanager
def apart() -> Generator[None]:
    """Part of a job that may become a job of its own: what it waits for is nobody else's."""
    whole = running.get()
    token = running.set(whole and Running(whole.name, patience=whole.patience))
    try:
        yield
    finally:
        running.reset(token)
