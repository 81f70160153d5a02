"""A load generator that costs little, so that it does not become what is measured: HTTP/1.1 on kept-alive loopback
connections, one request in flight on each, requests put together beforehand.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

END = b"\r\n\r\n"
CONNECT_SECONDS = 10


class Refused(RuntimeError):
    """The server did not answer 200."""


@dataclass
class Answers:
    """What came back: the seconds each answer took, and over how long. `bytes` are those of the bodies."""

    seconds: list[float] = field(default_factory=list[float])
    took: float = 0.0
    bytes: int = 0

    @property
    def rate(self) -> float:
        return len(self.seconds) / self.took


def request(method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> bytes:
    """A whole request, as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join(lines).encode() + END + body


class Connection(asyncio.Protocol):
    """One kept-alive connection; one request at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.waiting: asyncio.Future[int] | None = None
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.waiting and not self.waiting.done():
            self.waiting.set_exception(exc or ConnectionResetError("the server hung up"))

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, rest = self.buffer.partition(END)
        if not found:
            return
        length = int(
            next((line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
        )
        if len(rest) < length or self.waiting is None:
            return
        self.buffer = b""
        if not head.startswith(b"HTTP/1.1 200"):
            self.waiting.set_exception(Refused((head + END + rest)[:2000].decode(errors="replace")))
        else:
            self.waiting.set_result(length)

    async def ask(self, raw: bytes) -> int:
        """Send a request; the length of the answer's body. Raises Refused, ConnectionError."""
        assert self.transport is not None
        self.waiting = asyncio.get_running_loop().create_future()
        self.transport.write(raw)
        return await self.waiting

    def close(self) -> None:
        if self.transport:
            self.transport.close()


async def connect(port: int) -> Connection:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(CONNECT_SECONDS):
        return (await loop.create_connection(Connection, "127.0.0.1", port))[1]


async def closed_loop(port: int, requests: Iterator[bytes], *, connections: int, seconds: float) -> Answers:
    """Each connection sends its next request when the one before is answered, until the time or the requests end."""
    opened = [await connect(port) for _ in range(connections)]
    answers = Answers()
    started = time.perf_counter()

    async def drive(connection: Connection) -> None:
        for raw in requests:
            sent = time.perf_counter()
            answers.bytes += await connection.ask(raw)
            now = time.perf_counter()
            answers.seconds.append(now - sent)
            if now - started > seconds:
                return

    await asyncio.gather(*map(drive, opened))
    answers.took = time.perf_counter() - started
    for connection in opened:
        connection.close()
    return answers


async def open_loop(port: int, requests: Sequence[bytes], *, rate: float, connections: int = 32) -> Answers:
    """`rate` requests a second whatever the answers do. A request that had to wait for a free connection counts from
    when it was due, so that a stall is seen by everyone it would have kept waiting."""
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(connections):
        free.put_nowait(await connect(port))
    answers = Answers()
    started = time.perf_counter()

    async def one(at: float, raw: bytes) -> None:
        connection = await free.get()
        answers.bytes += await connection.ask(raw)
        answers.seconds.append(time.perf_counter() - at)
        free.put_nowait(connection)

    async with asyncio.TaskGroup() as group:
        for n, raw in enumerate(requests):
            due = started + n / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(one(due, raw))
    answers.took = time.perf_counter() - started
    while not free.empty():
        free.get_nowait().close()
    return answers
