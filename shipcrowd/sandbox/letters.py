"""Webhooks on their way out: sent over HTTP, retried, doubled, delayed or lost, as the vendors do.

Letters of one lane (a shop, a courier account) go out one after another, in the order they were written, unless a
knob says otherwise; of those that must keep their order, one that does not arrive holds up all later ones of its lane.
They go only to this machine: a loopback address, or an app in this process that a test put
under a host name with `receivers`.
"""

import asyncio
import ipaddress
import random
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpx2

from shipcrowd.kernel import clock

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

KEPT = 1000  # letters remembered for the desk's page
KEPT_ANSWERS = 20  # of one letter, the last ones
AT_ONCE = 64  # lanes sent side by side
LONGEST_WAIT = 3600.0  # before a try of a letter that is never given up, when no waits are set
HELD_SECONDS = 2.0  # how long a letter that is to arrive out of order waits for a later one to overtake it


class LetterState(StrEnum):
    waiting = "waiting"
    delivered = "delivered"
    failed = "failed"  # every try failed, or its subscription is gone
    lost = "lost"  # never sent, because the `lose` knob said so
    kept = "kept"  # never sent, because its address is not on this machine


@dataclass(eq=False)
class Letter:
    """One webhook. Its body and headers are written once: a retry or a duplicate is the same to the byte."""

    lane: str
    topic: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    answered: Callable[[bool], None] | None = None  # told after each try whether it worked
    wanted: Callable[[], bool] | None = None  # False: its subscription is gone, do not try (again)
    in_order: bool = False  # until it arrives nothing later of its lane is sent, and it is never given up
    only_200: bool = False  # no other 2xx counts as arrived
    written_at: datetime = field(default_factory=clock.now)
    due: datetime = field(default_factory=clock.now)
    state: LetterState = LetterState.waiting
    held: bool = False
    tries: int = 0
    answers: list[str] = field(default_factory=list[str])


@dataclass
class LetterKnobs:
    """How the post behaves. Probabilities are 0..1 and drawn from the desk's seeded random."""

    duplicate: float = 0.0
    reorder: float = 0.0
    lose: float = 0.0
    delay_seconds: float = 0.0
    timeout_seconds: float = 5.0
    retry_seconds: tuple[float, ...] = (1, 2, 4, 8, 16, 32, 64, 128)
    """Waits before each retry. Shopify spreads its 8 over four hours; here the same 8 fit into some four minutes."""


def on_this_machine(url: str) -> bool:
    """Whether `url` is plain http(s) to a loopback address."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return False
    if parts.hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(parts.hostname).is_loopback
    except ValueError:
        return False


@cache
def _tls() -> ssl.SSLContext:
    """One for all letters: making it takes longer than sending one."""
    return ssl.create_default_context()


class Postman:
    """Carries the letters of all stand-ins."""

    def __init__(self, seed: int = 0) -> None:
        self.knobs = LetterKnobs()
        self.receivers: dict[str, AsgiApp] = {}
        """Host name → app in this process. For tests: nothing is sent over a socket to these."""
        self.log: deque[Letter] = deque(maxlen=KEPT)
        self._random = random.Random(seed)  # noqa: S311 - repeatable trouble, no secrets
        self._waiting: list[Letter] = []
        self._round = asyncio.Lock()
        self._pump: asyncio.Task[None] | None = None

    def post(self, letter: Letter) -> None:
        """Send soon: at once if an event loop runs here, else at the next `drain`."""
        self.log.append(letter)
        if not self.reaches(letter.url):
            letter.state = LetterState.kept
            return
        if self._happens(self.knobs.lose):
            letter.state = LetterState.lost
            return
        letter.due += timedelta(seconds=self.knobs.delay_seconds)
        if self._happens(self.knobs.reorder):
            letter.held = True
            letter.due += timedelta(seconds=HELD_SECONDS)
        self._waiting.append(letter)
        self._wake()

    def reaches(self, url: str) -> bool:
        return on_this_machine(url) or urlsplit(url).hostname in self.receivers

    def waiting(self) -> int:
        return len(self._waiting)

    def retry_now(self) -> int:
        """Make every waiting letter due at once; how many there are."""
        for letter in self._waiting:
            letter.due = clock.now()
        self._wake()
        return len(self._waiting)

    def resend(self, letter: Letter) -> Letter:
        """The same letter once more, as a person would from the vendor's page."""
        again = Letter(letter.lane, letter.topic, letter.url, letter.headers, letter.body)
        self.post(again)
        return again

    async def drain(self) -> None:
        """Send everything that is due, and what only waits to be overtaken; retries that are due later stay."""
        while True:
            while self._due():
                await self._send_due()
            held = [letter for letter in self._waiting if letter.held]
            if not held:
                return
            self._release(held)

    async def close(self) -> None:
        if self._pump and not self._pump.done():
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)

    def _happens(self, probability: float) -> bool:
        return probability > 0 and self._random.random() < probability

    def _due(self) -> list[Letter]:
        """What may be sent now: its time has come, and nothing that must arrive before it still waits for its own."""
        now = clock.now()
        found: list[Letter] = []
        blocked: set[str] = set()
        for letter in self._waiting:
            if letter.in_order and letter.lane in blocked:
                continue
            if letter.due <= now:
                found.append(letter)
            elif letter.in_order and not letter.held:
                blocked.add(letter.lane)
        return found

    def _release(self, held: list[Letter]) -> None:
        for letter in held:
            letter.held = False
            letter.due = clock.now()

    def _wake(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if self._pump is None or self._pump.done():
            self._pump = loop.create_task(self._run(), name="sandbox-postman")

    async def _run(self) -> None:
        while self._waiting:
            if self._due():
                await self._send_due()
            else:
                # Short naps rather than one long sleep: `retry_now` and a test's clock move the due times.
                await asyncio.sleep(0.05)

    async def _send_due(self) -> None:
        async with self._round:
            lanes: dict[str, list[Letter]] = {}
            for letter in self._due():
                lanes.setdefault(letter.lane, []).append(letter)
            if lanes:
                at_once = asyncio.Semaphore(AT_ONCE)
                await asyncio.gather(*(self._send_lane(letters, at_once) for letters in lanes.values()))

    async def _send_lane(self, letters: list[Letter], at_once: asyncio.Semaphore) -> None:
        async with at_once:
            for letter in letters:
                if letter not in self._waiting:
                    continue
                await self._try(letter)
                if letter.state is LetterState.delivered and self._happens(self.knobs.duplicate):
                    letter.answers.append("again: " + (await self._once(letter))[1])
                overtaken = [other for other in self._waiting if other.held and other.lane == letter.lane]
                self._release(overtaken)
                if letter.in_order and letter.state is LetterState.waiting:
                    return

    async def _try(self, letter: Letter) -> None:
        if letter.wanted and not letter.wanted():
            self._give_up(letter)
            return
        waits = self.knobs.retry_seconds
        worked, answer = await self._once(letter)
        letter.answers.append(answer)
        letter.tries += 1
        if letter.answered:
            letter.answered(worked)
        if worked:
            letter.state = LetterState.delivered
            self._waiting.remove(letter)
        elif (letter.wanted and not letter.wanted()) or (not letter.in_order and letter.tries > len(waits)):
            self._give_up(letter)
        else:
            letter.due = clock.now() + timedelta(
                seconds=waits[min(letter.tries, len(waits)) - 1] if waits else LONGEST_WAIT
            )
            del letter.answers[:-KEPT_ANSWERS]

    def _give_up(self, letter: Letter) -> None:
        letter.state = LetterState.failed
        self._waiting.remove(letter)

    async def _once(self, letter: Letter) -> tuple[bool, str]:
        host = urlsplit(letter.url).hostname or ""
        app = self.receivers.get(host)
        transport = httpx2.ASGITransport(app, raise_app_exceptions=False) if app else None
        limit = self.knobs.timeout_seconds
        try:
            async with (
                asyncio.timeout(limit),
                httpx2.AsyncClient(
                    transport=transport, verify=_tls(), trust_env=False, timeout=httpx2.Timeout(limit, connect=1.0)
                ) as client,
            ):
                reply = await client.post(letter.url, content=letter.body, headers=dict(letter.headers))
            arrived = reply.status_code == 200 if letter.only_200 else 200 <= reply.status_code < 300
            return arrived, str(reply.status_code)
        except (TimeoutError, httpx2.TimeoutException):
            return False, f"no answer within {limit:g} s"
        except httpx2.TransportError as error:
            return False, type(error).__name__
