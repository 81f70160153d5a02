"""What can be wrong with a request, as exceptions. The web layer turns them into RFC 9457 problems.

A module declares its own by subclassing one of these: the class name becomes the problem's `code`, its
docstring the `title`, and the base class the HTTP status.

    class InsufficientBalance(Conflict):
        \"\"\"The wallet does not hold enough for this shipment.\"\"\"
"""

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Self


class ShipcrowdError(Exception):
    """Something went wrong."""

    status: ClassVar[int] = 500

    def __init__(self, detail: str = "", *, field: str | None = None, **extra: Any) -> None:
        """`detail` says what to do about it; `field` names the input at fault; `extra` goes into the problem."""
        super().__init__(detail or self.title())
        self.detail = detail
        self.field = field
        self.extra = extra

    @classmethod
    def naming(cls, wrong: Mapping[str, str], **extra: Any) -> Self:
        """The error of these inputs: field → what is wrong with it."""
        errors = [{"field": field, "message": words} for field, words in wrong.items()]
        detail = "; ".join(dict.fromkeys(wrong.values()))
        return cls(detail, field=next(iter(wrong), None), errors=errors, **extra)

    @classmethod
    def code(cls) -> str:
        return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    @classmethod
    def title(cls) -> str:
        return (cls.__doc__ or cls.__name__).strip().splitlines()[0]


class BadRequest(ShipcrowdError):
    """The request could not be read."""

    status = 400


class Unauthenticated(ShipcrowdError):
    """Sign in, or send a valid API key."""

    status = 401


class Forbidden(ShipcrowdError):
    """Your role does not allow this."""

    status = 403


class NotFound(ShipcrowdError):
    """There is no such thing here."""

    status = 404


class Conflict(ShipcrowdError):
    """The present state does not allow this."""

    status = 409


class TooLarge(ShipcrowdError):
    """The body is larger than allowed."""

    status = 413


class Invalid(ShipcrowdError):
    """The input is not valid."""

    status = 422


class TooMany(ShipcrowdError):
    """Too many requests; try again later."""

    status = 429
