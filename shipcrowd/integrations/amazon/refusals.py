"""Amazon's ways of saying no, turned into the four outside failures.

Source: the models' ErrorList, Amazon's "Errors" page; an expired token is answered with 403, sometimes 401, and an
unknown path with 403 as well.
"""

from dataclasses import dataclass

from shipcrowd.integrations.amazon.raw import obj, objects, text
from shipcrowd.kernel.outbound import Json, Malformed, Refused, Reply

_TOKEN_WORDS = ("access token",)
_REGION_WORDS = "not valid for region"


@dataclass(frozen=True)
class Fault:
    """One entry of a reply's `errors`."""

    code: str
    message: str
    details: str = ""


class NotDone(Refused):
    """Amazon understood and said no: with which `status`, and all its `faults`; the first is the code and message."""

    def __init__(self, code: str, message: str, *, status: int, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(code, message)
        self.status = status
        self.faults = faults

    def says(self, words: str) -> bool:
        """Whether any fault holds these words, whatever their case."""
        return any(words.lower() in f"{f.code} {f.message} {f.details}".lower() for f in self.faults)


def faults(reply: Reply) -> tuple[Fault, ...]:
    """What an error body says; nothing of an HTML page or a body of another shape."""
    try:
        return read_faults(obj(reply.json()).get("errors"))
    except Malformed:
        return ()


def read_faults(errors: Json) -> tuple[Fault, ...]:
    """An ErrorList's entries. Raises Malformed."""
    return tuple(
        Fault(text(entry.get("code")), text(entry.get("message"))[:500], text(entry.get("details"))[:500])
        for entry in objects(errors)
    )


def token_refused(reply: Reply) -> bool:
    """Whether it was the token that was refused (expired, revoked, missing), not what was asked."""
    if reply.status not in (401, 403):
        return False
    said = " ".join(f"{fault.message} {fault.details}" for fault in faults(reply)).lower()
    return any(words in said for words in _TOKEN_WORDS)


def refusal(reply: Reply, what: str) -> NotDone:
    """A reply of 300 to 499 that is about what was asked → why it was not done, in words for the seller."""
    found = faults(reply)
    first = found[0] if found else Fault("", "")
    said = "; ".join(dict.fromkeys(filter(None, (fault.message for fault in found))))[:500]
    if any(_REGION_WORDS in f"{fault.message} {fault.details}" for fault in found):
        return NotDone(
            "wrong_region",
            "This marketplace does not belong to the region the seller signed in for; connect the store again with "
            "the right marketplace.",
            status=reply.status,
            faults=found,
        )
    if reply.status in (401, 403):
        return NotDone(
            "forbidden",
            f"Amazon does not allow {what}: the application may lack a role, or the seller has to authorize it "
            f"again. {said}".strip(),
            status=reply.status,
            faults=found,
        )
    if reply.status == 404:
        return NotDone("not_found", said or "Amazon has no such thing.", status=404, faults=found)
    code = first.code if first.code and not first.code.isdigit() else f"http_{reply.status}"
    return NotDone(
        code, said or f"Amazon answered {what} with status {reply.status}.", status=reply.status, faults=found
    )
