"""The XML of the feeds that still speak it: the envelope they go in, and the report they are answered with.

Source: Amazon's XSDs (amzn-envelope, ProcessingReport); an envelope needs its version and a number for each message.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from shipcrowd.integrations.amazon import documents


@dataclass(frozen=True)
class Fault:
    """A message that was not done: Amazon's code and words."""

    message: str
    code: str
    words: str


def envelope(seller: str, kind: str, messages: Sequence[str]) -> bytes:
    """A feed of these messages, each the inside of a `kind`: XML that is escaped already."""
    parts = "".join(
        f"<Message><MessageID>{number}</MessageID><{kind}>{inside}</{kind}></Message>"
        for number, inside in enumerate(messages, start=1)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><AmazonEnvelope><Header><DocumentVersion>1.01</DocumentVersion>'
        f"{tag('MerchantIdentifier', seller)}</Header>{tag('MessageType', kind)}{parts}</AmazonEnvelope>"
    ).encode()


def tag(name: str, text: str) -> str:
    """One element around text, escaped."""
    return f"<{name}>{escape(text)}</{name}>"


def read(report: bytes) -> ElementTree.Element:
    """A processing report. Raises documents.UntrustedDocument."""
    return documents.read_xml(report)


def found(report: ElementTree.Element, name: str) -> list[str]:
    """The text of each element of this name, whatever its namespace."""
    return [(node.text or "").strip() for node in report.iter() if _local(node) == name]


def faults(report: ElementTree.Element) -> list[Fault]:
    """The messages a processing report says were not done; warnings are none."""
    results = [node for node in report.iter() if _local(node) == "Result"]
    return [
        Fault(_first(node, "MessageID"), _first(node, "ResultMessageCode"), _first(node, "ResultDescription")[:500])
        for node in results
        if _first(node, "ResultCode").lower() == "error"
    ]


def _first(node: ElementTree.Element, name: str) -> str:
    return next(iter(found(node, name)), "")


def _local(node: ElementTree.Element) -> str:
    return node.tag.rpartition("}")[2]
