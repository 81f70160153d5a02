"""Structured logs: JSON lines in production, readable ones on a laptop, secrets and personal data redacted in both."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, cast

import structlog
from pydantic_core import to_json

HIDDEN = frozenset(
    {
        "password", "token", "access_token", "refresh_token", "secret", "client_secret", "authorization", "api_key",
        "cookie", "name", "phone", "email", "address", "line1", "line2", "mobile", "hmac", "signature", "code",
    }
)  # fmt: skip


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace the values of sensitive keys, at any depth of plain dicts and lists."""
    for key, value in event.items():
        event[key] = "[hidden]" if key.lower() in HIDDEN and value else _inside(value)
    return event


def _inside(value: Any) -> Any:
    if isinstance(value, dict):
        items = cast(dict[str, Any], value)
        return {k: "[hidden]" if k.lower() in HIDDEN and v else _inside(v) for k, v in items.items()}
    if isinstance(value, list):
        return [_inside(member) for member in cast(list[Any], value)]
    return value


def _json(event: Any, **_: Any) -> str:
    return to_json(event, fallback=repr, inf_nan_mode="strings").decode()


def configure(*, level: str = "INFO", json: bool = True) -> None:
    """Set up logging for the process; call once."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        redact,
        structlog.processors.format_exc_info,
    ]
    renderer: Any = structlog.processors.JSONRenderer(_json) if json else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    # pgqueuer logs every retry with its traceback; our own wrapper says it once, redacted.
    logging.getLogger("pgqueuer").setLevel(logging.CRITICAL)
