"""Something happened, and those above may want to react: one job per listener, in the publisher's transaction.

An event carries ids only, never personal data. `wiring.LISTENERS` says who hears what; a listener is a job whose
parameters are the event's fields.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.kernel.jobs import Job

IDS_A_MESSAGE = 100


@dataclass(frozen=True)
class Event:
    """Derive from this; every further field is an id or a tuple of ids (at most 100 a message)."""

    company_id: UUID

    @property
    def subject(self) -> str | None:
        """What makes two waiting messages to one listener the same news; None: each is its own."""
        rest = [getattr(self, field.name) for field in fields(self)[1:]]
        return str(rest[0]) if len(rest) == 1 and isinstance(rest[0], UUID) else None


class _Wired:
    listeners: Mapping[type[Event], Sequence[Job[...]]] = {}


def listen(listeners: Mapping[type[Event], Sequence[Job[...]]]) -> None:
    """Set who hears what, once a process. Raises TypeError when a listener does not take the event's fields."""
    for event, heard_by in listeners.items():
        names = {field.name for field in fields(event)}
        for listener in heard_by:
            if set(listener.payload.model_fields) != names:
                raise TypeError(f"{listener.name} must take exactly {sorted(names)} to hear {event.__name__}")
    _Wired.listeners = listeners


async def publish(session: AsyncSession, event: Event) -> None:
    """Enqueue one job for each listener, in the session's transaction."""
    payload = {field.name: getattr(event, field.name) for field in fields(event)}
    for value in payload.values():
        if isinstance(value, tuple) and len(value) > IDS_A_MESSAGE:  # pyright: ignore[reportUnknownArgumentType]
            raise ValueError(f"{type(event).__name__} carries more than {IDS_A_MESSAGE} ids")
    for listener in _Wired.listeners.get(type(event), ()):
        subject = event.subject
        keyed = listener.with_(key=f"{event.company_id}:{subject}") if subject else listener
        await keyed.enqueue(session, **payload)
