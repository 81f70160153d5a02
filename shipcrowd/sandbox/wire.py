"""How a client of the desk talks to its API: JSON there, JSON back, and the desk's own errors."""

from typing import TypeVar

import httpx2
from pydantic import BaseModel, TypeAdapter

from shipcrowd.sandbox.refusals import NotPossible, Unknown

T = TypeVar("T")
Sent = BaseModel | dict[str, object] | None


class Wire:
    """One connection to a desk's API."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http

    async def send(self, method: str, path: str, sent: Sent = None) -> bytes:
        """The body of the answer; raises Unknown, NotPossible and ValueError as the desk itself does."""
        # What was set is sent, so that a null means null and silence means silence.
        content = None if sent is None else TypeAdapter(object).dump_json(sent, exclude_unset=True)
        headers = {"content-type": "application/json"} if content else {}
        reply = await self._http.request(method, path, content=content, headers=headers)
        if reply.status_code == 404:
            raise Unknown(reply.json().get("detail", path))
        if reply.status_code == 409:
            raise NotPossible(reply.json().get("detail", path))
        if reply.status_code == 422:
            raise ValueError(reply.text)
        reply.raise_for_status()
        return reply.content

    async def ask(self, kind: type[T], method: str, path: str, sent: Sent = None) -> T:
        return TypeAdapter(kind).validate_json(await self.send(method, path, sent))

    async def count(self, method: str, path: str, sent: Sent = None) -> int:
        return (await self.ask(dict[str, int], method, path, sent))["count"]
