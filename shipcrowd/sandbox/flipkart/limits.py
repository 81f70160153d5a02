"""How many calls a seller may make: 10 a second, 1,000 an hour. A refused call does not count against the limit."""

from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta

from shipcrowd.kernel import clock
from shipcrowd.sandbox.flipkart.state import Calls, World

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


def allows(world: World, calls: Calls) -> bool:
    """Count this call; False when it is one too many."""
    now = clock.now()
    calls.total += 1
    calls.most_in_a_second = max(calls.most_in_a_second, _count(calls.second, now, SECOND))
    calls.most_in_an_hour = max(calls.most_in_an_hour, _count(calls.hour, now, HOUR))
    while calls.passed and calls.passed[0] <= now - HOUR:
        calls.passed.popleft()
    lately = sum(1 for _ in _newest(calls.passed, now - SECOND))
    knobs = world.knobs
    if (knobs.per_second and lately >= knobs.per_second) or (knobs.per_hour and len(calls.passed) >= knobs.per_hour):
        calls.refused += 1
        calls.over = True
        return False
    calls.passed.append(now)
    return True


def _count(times: deque[datetime], now: datetime, window: timedelta) -> int:
    times.append(now)
    while times[0] <= now - window:
        times.popleft()
    return len(times)


def _newest(times: deque[datetime], since: datetime) -> Iterator[datetime]:
    for at in reversed(times):
        if at <= since:
            return
        yield at
