"""Fixtures of Amazon's tests; the far side itself is in `far_side`."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import time_machine

from shipcrowd.integrations.amazon import client as calling
from shipcrowd.integrations.amazon import lwa, shipping
from shipcrowd.kernel.outbound import read_json
from tests.integrations.amazon.far_side import NOW, Amazon
from tests.integrations.amazon.stand_in import Amazons, standing


@pytest.fixture
def amazon() -> Iterator[Amazon]:
    forgotten = (calling.forget_rates, lwa.forget_own_tokens, shipping.forget_silent)
    for forget in forgotten:
        forget()
    yield Amazon()
    for forget in forgotten:
        forget()


@pytest.fixture
def at_now() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def payload() -> Callable[[str], Any]:
    def read(name: str) -> Any:
        return read_json((Path(__file__).parent / "payloads" / f"{name}.json").read_bytes())

    return read


@pytest.fixture
async def amazons() -> AsyncIterator[Amazons]:
    """The product before Amazon's stand-in."""
    async with standing() as made:
        yield made
