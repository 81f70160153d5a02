"""A seller at the API: signs up, signs in, and does what sellers do, over HTTP as anybody would."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import httpx2

T = TypeVar("T")


class NotAnswered(RuntimeError):
    """The API answered something else than was expected of it."""


class TookTooLong(RuntimeError):
    """What should have happened by itself did not, in time. `seen` is what there was instead, for the log."""

    def __init__(self, what: str, seconds: float, seen: object) -> None:
        super().__init__(f"{what} took longer than {seconds:.0f} s.")
        self.seen = seen


class Seller:
    """One signed-in person. `await seller.get("/orders")` and so on; problems raise NotAnswered."""

    def __init__(self, url: str) -> None:
        self._http = httpx2.AsyncClient(base_url=f"{url}/api/v1", timeout=30, trust_env=False)
        self._csrf = ""

    async def close(self) -> None:
        await self._http.aclose()

    async def sign_up(self, *, company: str, name: str, email: str, password: str) -> None:
        body = {"company_name": company, "name": name, "email": email, "password": password}
        await self.post("/auth/register", body)
        signed_in = await self.post("/auth/login", {"email": email, "password": password})
        self._csrf = signed_in["csrf_token"]

    async def get(self, path: str, **query: str | Sequence[str]) -> Any:
        return self._read(await self._http.get(path, params=query), "GET", path)

    async def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        headers = {"x-csrf-token": self._csrf} if self._csrf else {}
        return self._read(await self._http.post(path, json=body or {}, headers=headers), "POST", path)

    async def put(self, path: str, body: Mapping[str, Any]) -> Any:
        answer = await self._http.put(path, json=body, headers={"x-csrf-token": self._csrf})
        return self._read(answer, "PUT", path)

    async def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        answer = await self._http.patch(path, json=body, headers={"x-csrf-token": self._csrf})
        return self._read(answer, "PATCH", path)

    async def bytes_of(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> bytes:
        answer = await self._http.request(method, path, json=body, headers={"x-csrf-token": self._csrf})
        if not answer.is_success:
            raise NotAnswered(refusal(answer, method, path))
        return answer.content

    async def redirected(self, path: str, **query: str) -> str:
        """Where a GET sends the browser."""
        answer = await self._http.get(path, params=query)
        if answer.status_code not in (302, 303, 307):
            raise NotAnswered(refusal(answer, "GET", path))
        return answer.headers["location"]

    async def open(self, url: str) -> int:
        """Open any address with the signed-in browser; the status."""
        return (await self._http.get(url)).status_code

    async def everything(self, path: str, **query: str | Sequence[str]) -> list[dict[str, Any]]:
        """All pages of a list."""
        found: list[dict[str, Any]] = []
        after: str | None = None
        while True:
            page = await self.get(path, limit="200", **({"after": after} if after else {}), **query)
            found += page["items"]
            after = page["next"]
            if after is None:
                return found

    def _read(self, answer: httpx2.Response, method: str, path: str) -> Any:
        if not answer.is_success:
            raise NotAnswered(refusal(answer, method, path))
        return answer.json() if answer.content else None


def refusal(answer: httpx2.Response, method: str, path: str) -> str:
    """An answer that was not hoped for, as a sentence: the problem's own words where it has some (RFC 9457)."""
    try:
        problem = answer.json()
        words = [str(problem[part]).rstrip(".") for part in ("title", "detail") if problem.get(part)]
    except (ValueError, AttributeError):
        words = []
    said = ": ".join(words) or "nothing that could be read"
    return f"{method} {path} was answered with {answer.status_code}, {said}."


async def until(
    what: str, look: Callable[[], Awaitable[T]], good: Callable[[T], bool], *, seconds: float = 60, every: float = 0.25
) -> T:
    """Look again and again until `good`; what was seen. Raises TookTooLong naming `what`, a happening."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while True:
        seen = await look()
        if good(seen):
            return seen
        if loop.time() > end:
            raise TookTooLong(what, seconds, seen)
        await asyncio.sleep(every)
