"""One call as the operations see it, and how they refuse."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from shipcrowd.sandbox.amazon.state import MARKETPLACES, Amazon, App, Resource, Seller

Json = Any
Body = dict[str, Any]


class Refused(Exception):
    """An answer with `errors` in it."""

    def __init__(self, status: int, code: str, message: str, details: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.body = {"errors": [{"code": code, "message": message, "details": details}]}


@dataclass(frozen=True)
class Answer:
    body: Json = None
    status: int = 200


@dataclass
class Call:
    """`seller` is None on grantless operations; `resource` is what a restricted token opens here."""

    world: Amazon
    app: App
    now: datetime
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Body
    maybe_seller: Seller | None = None
    resource: Resource | None = None

    @property
    def seller(self) -> Seller:
        assert self.maybe_seller is not None, "a grantless call has no seller"
        return self.maybe_seller

    def listed(self, name: str) -> list[str]:
        """A comma-joined parameter; empty where absent."""
        return [one for one in self.query.get(name, "").split(",") if one]

    def needed(self, name: str) -> str:
        value = self.query.get(name, "")
        if not value:
            raise invalid(f"Missing required parameter: {name}")
        return value

    def moment(self, name: str) -> datetime | None:
        text = self.query.get(name)
        return None if text is None else parse_time(text, name)

    def number(self, name: str, default: int, least: int, most: int) -> int:
        text = self.query.get(name)
        if text is None:
            return default
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise invalid(f"{name} must be between {least} and {most}")
        return int(text)

    def one_of(self, name: str, allowed: frozenset[str]) -> frozenset[str]:
        asked = frozenset(self.listed(name))
        if unknown := sorted(asked - allowed):
            raise invalid(f"{name}: unknown value {unknown[0]}")
        return asked

    def check_marketplaces(self, given: list[str], *, needed: bool = True) -> None:
        """Raises the 403 of a marketplace that belongs to another region, 400 where none was given."""
        if needed and not given:
            raise invalid("Missing required parameter: marketplaceIds")
        for one in given:
            if one not in MARKETPLACES or MARKETPLACES[one].region != self.seller.region:
                raise foreign_marketplace()


Operation = Callable[[Call], Answer]


def invalid(message: str, details: str = "", code: str = "InvalidInput") -> Refused:
    return Refused(400, code, message, details)


def not_found(message: str, code: str = "ResourceNotFound", status: int = 404) -> Refused:
    return Refused(status, code, message)


def denied(details: str, message: str = "Access to requested resource is denied.") -> Refused:
    return Refused(403, "Unauthorized", message, details)


def foreign_marketplace() -> Refused:
    return denied("", "The marketplaces you provided are not valid for region.")


def parse_time(text: str, name: str) -> datetime:
    try:
        # An unencoded plus arrives as a space.
        at = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError as error:
        raise invalid(f"{name} is not a valid ISO 8601 date-time") from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def stamp(at: datetime) -> str:
    """ISO 8601 in UTC to the millisecond, as Amazon writes it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"


def record(value: object) -> Body:
    """`value` where it is a JSON object, else an empty one."""
    return cast(Body, value) if isinstance(value, dict) else {}


def records(value: object) -> list[Body]:
    """The JSON objects in `value`, where it is a list."""
    if not isinstance(value, list):
        return []
    return [cast(Body, one) for one in cast(list[object], value) if isinstance(one, dict)]


def texts(value: object) -> list[str]:
    if not isinstance(value, list):
        return []
    return [one for one in cast(list[object], value) if isinstance(one, str)]
