"""What goes wrong on demand: the next call, or one in ten, to an operation of a vendor is throttled, lost, cut or late.

Operations are named by each stand-in: Shopify by the root field of the document (`orders`, `fulfillmentCreate`) or
`oauth.token`, Velocity by the endpoint (`forward-order-orchestration`). `*` means any operation of the vendor.
"""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

LONGEST_WAIT = 30.0
"""Seconds a stand-in keeps anybody waiting at most: past every sane client's time-out, short of a hung test run."""

UNAVAILABLE_PAGE = """<!DOCTYPE html>
<html><head><title>503 Service Temporarily Unavailable</title></head>
<body><center><h1>503 Service Temporarily Unavailable</h1></center><hr><center>nginx</center></body></html>
"""


class FaultKind(StrEnum):
    throttled = "throttled"  # 429; nothing happened
    unavailable = "unavailable"  # 503 with an HTML page; nothing happened
    unavailable_after = "unavailable_after"  # 503 with an HTML page, although it was done
    timeout_before = "timeout_before"  # no answer; nothing happened
    timeout_after = "timeout_after"  # no answer, although it was done
    malformed = "malformed"  # done, but the answer is JSON cut in half
    slow = "slow"  # done and answered, after `seconds`


@dataclass
class Fault:
    """One armed fault. `times` is how often it still strikes (None: for ever), `probability` how likely each time."""

    vendor: str
    operation: str
    kind: FaultKind
    times: int | None = 1
    probability: float = 1.0
    retry_after: int | None = None  # the header of a `throttled` answer, in seconds
    seconds: float = LONGEST_WAIT  # how long `slow` and the time-outs keep the caller waiting


class Faults:
    """The armed faults, oldest first. One strikes at most per call."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatable trouble, no secrets
        self._armed: list[Fault] = []

    def add(
        self,
        vendor: str,
        operation: str,
        kind: FaultKind | str,
        *,
        times: int | None = 1,
        probability: float = 1.0,
        retry_after: int | None = None,
        seconds: float = LONGEST_WAIT,
    ) -> Fault:
        """Arm a fault; raises ValueError for an unknown kind, a probability outside 0..1 or a wait over 30 s."""
        if not 0 < probability <= 1:
            raise ValueError("a probability lies above 0 and not above 1")
        if not 0 <= seconds <= LONGEST_WAIT:
            raise ValueError(f"a wait lies between 0 and {LONGEST_WAIT:.0f} seconds")
        if times is not None and times < 1:
            raise ValueError("a fault strikes at least once")
        fault = Fault(vendor, operation, FaultKind(kind), times, probability, retry_after, seconds)
        self._armed.append(fault)
        return fault

    def take(self, vendor: str, operations: Collection[str]) -> Fault | None:
        """The fault that strikes this call, if one does, used up by one."""
        for fault in self._armed:
            if fault.vendor != vendor or (fault.operation != "*" and fault.operation not in operations):
                continue
            if fault.probability < 1 and self._random.random() >= fault.probability:
                continue
            if fault.times is not None:
                fault.times -= 1
                if not fault.times:
                    self._armed.remove(fault)
            return fault
        return None

    def armed(self) -> list[Fault]:
        return list(self._armed)

    def clear(self) -> None:
        self._armed.clear()


async def with_faults(
    faults: Faults,
    request: Request,
    vendor: str,
    operations: Collection[str],
    act: Callable[[], Awaitable[Response]],
    *,
    throttled: Mapping[str, object],
) -> Response:
    """The answer of `act`, or what a fault makes of it. `throttled` is the vendor's body of a 429."""
    fault = faults.take(vendor, operations)
    match fault.kind if fault else None:
        case None:
            return await act()
        case FaultKind.throttled:
            assert fault is not None
            headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
            return JSONResponse(dict(throttled), 429, headers)
        case FaultKind.unavailable:
            return HTMLResponse(UNAVAILABLE_PAGE, 503)
        case FaultKind.unavailable_after:
            await act()
            return HTMLResponse(UNAVAILABLE_PAGE, 503)
        case FaultKind.timeout_before:
            assert fault is not None
            await linger(request, fault.seconds)
            return HTMLResponse(UNAVAILABLE_PAGE, 504)
        case FaultKind.timeout_after:
            assert fault is not None
            await act()
            await linger(request, fault.seconds)
            return HTMLResponse(UNAVAILABLE_PAGE, 504)
        case FaultKind.malformed:
            return cut(await act())
        case FaultKind.slow:
            assert fault is not None
            await linger(request, fault.seconds)
            return await act()


def cut(answer: Response) -> Response:
    """The first half of `answer`, as if a proxy lost the rest but kept the status."""
    whole = bytes(answer.body)
    half = whole[: len(whole) // 2] if len(whole) > 2 else json.dumps({"cut": True})[:4].encode()
    return Response(half, answer.status_code, media_type="application/json")


async def linger(request: Request, seconds: float) -> bool:
    """Wait, at most 30 s and only while the client is still there. True when it hung up first."""
    await request.body()
    gone = asyncio.ensure_future(_hung_up(request))
    try:
        done, _ = await asyncio.wait({gone}, timeout=min(seconds, LONGEST_WAIT))
        return bool(done)
    finally:
        gone.cancel()


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
