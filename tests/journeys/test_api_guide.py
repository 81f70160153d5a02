"""The API's guide, followed to the letter: its commands in their order, against the product."""

import json
import re
from typing import Any

import httpx2

from tests import guides
from tests.journeys.world import URL, Seller, World

SCOPES = ["orders:read", "orders:write", "shipments:read", "shipments:write"]


class Reader:
    """Somebody who types the guide's commands into a shell: what they see, keep and store."""

    def __init__(self, http: httpx2.AsyncClient, seller: Seller, key: str) -> None:
        self.http, self.seller = http, seller
        self.known = {"API": f"{URL}/api/v1", "KEY": key}
        self.files: dict[str, bytes] = {}
        self.seen: list[tuple[str, str, int]] = []

    async def types(self, command: guides.Command) -> None:
        if command.words[0] == "curl":
            output = await self.asks(guides.curl(command.words, self.known))
        elif command.words[0] == "jq":
            output = picked(command.words[-2], self.files[command.words[-1]])
        else:
            assert command.into is not None, command
            output = guides.filled(" ".join(command.words), self.known)
        if command.jq is not None:
            output = picked(command.jq, output if isinstance(output, bytes) else output.encode())
        if command.into not in (None, "API", "KEY"):
            self.known[command.into] = output if isinstance(output, str) else output.decode()

    async def asks(self, call: guides.Curl) -> bytes:
        assert "{" not in call.url, f"the guide never set what {call.url} holds"
        answer = await self.http.request(call.method, call.url, headers=call.headers, content=call.body)
        path = call.url.removeprefix(f"{URL}/api/v1")
        assert answer.is_success, f"{call.method} {path}: {answer.status_code} {answer.text[:800]}"
        self.seen.append((call.method, path, answer.status_code))
        if call.file is not None:
            self.files[call.file] = answer.content
        await self.seller.settle()  # what a worker does meanwhile
        return answer.content


def picked(filter: str, data: bytes) -> str:
    """What `jq -r` prints for a path such as `.items[0].id`."""
    found: Any = json.loads(data)
    for name, index in re.findall(r"\.(\w+)|\[(\d+)\]", filter):
        found = found[name] if name else found[int(index)]
    return found if isinstance(found, str) else json.dumps(found)


async def test_the_commands_of_the_api_guide_work_as_they_stand(world: World, seller: Seller):
    await seller.place()  # a second order, so that there is a second page
    made = await seller.post("/api-keys", {"name": "guide", "scopes": SCOPES})
    async with world.visitor() as http:
        reader = Reader(http, seller, made["token"])
        for block in guides.blocks(guides.GUIDES / "use-the-api.md"):
            for command in guides.commands(block) if block.kind == "sh" else ():
                await reader.types(command)
    shipment = await seller.shipment(reader.known["SHIPMENT"])
    assert shipment["order_id"] == reader.known["ORDER"]
    assert shipment["state"] in ("cancelling", "cancelled")  # its last command but one
    assert reader.files["label.pdf"].startswith(b"%PDF-")
    assert reader.files["labels.pdf"].startswith(b"%PDF-")
    assert ("POST", "/shipments", 202) in reader.seen
    assert len(reader.seen) > 12


async def test_the_problem_the_api_guide_shows_is_what_is_answered(world: World, seller: Seller):
    (shown,) = [block for block in guides.blocks(guides.GUIDES / "use-the-api.md") if block.kind == "json"]
    line = {"name": "Steel bottle", "units": 0, "unit_price_paise": 100}
    order = {"payment": "prepaid", "ship_to": {"name": "Meera"}, "lines": [line]}
    assert await seller.refused("POST", "/orders", order, status=422) == json.loads(shown.text)
