"""Reports: asked for, written by Amazon in its own time, fetched as a document. Source: reports 2021-06-30."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from shipcrowd.integrations.amazon import documents, mapping
from shipcrowd.integrations.amazon.client import AmazonClient
from shipcrowd.integrations.amazon.operations import CREATE_REPORT, GET_REPORT, GET_REPORT_DOCUMENT, GET_REPORTS
from shipcrowd.integrations.amazon.raw import objects, reading, stamp, text
from shipcrowd.kernel.outbound import Json

LISTINGS = "GET_MERCHANT_LISTINGS_ALL_DATA"
EASY_SHIP_DOCUMENTS = "GET_EASYSHIP_DOCUMENTS"

DONE, CANCELLED, FATAL = "DONE", "CANCELLED", "FATAL"
ENDED = frozenset((DONE, CANCELLED, FATAL))
"""Any other word, one we do not know among them, means that it is still being written. CANCELLED may mean that there
was nothing to tell, or that it was asked for too often."""


@dataclass(frozen=True)
class Report:
    """Where a report stands. `status` is Amazon's word, `document` the id of what was written, blank until then."""

    id: str
    kind: str
    status: str
    created_at: datetime | None = None
    document: str = ""

    @property
    def ended(self) -> bool:
        return self.status in ENDED


async def request(
    client: AmazonClient,
    kind: str,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    options: Mapping[str, str] | None = None,
) -> str:
    """Have a report written; its id. Asked for twice it is written twice, which costs a request and nothing else."""
    body: dict[str, Json] = {"reportType": kind, "marketplaceIds": [(await client.credentials()).place.id]}
    if start is not None:
        body["dataStartTime"] = stamp(start)
    if end is not None:
        body["dataEndTime"] = stamp(end)
    if options:
        body["reportOptions"] = dict(options)
    answer = await client.call(CREATE_REPORT, body=body)
    with reading("report", answer):
        return text(answer["reportId"])


async def get(client: AmazonClient, report_id: str) -> Report:
    """Raises Refused where Amazon knows no such report (any more: they are kept for ninety days)."""
    return _report(await client.call(GET_REPORT, path={"reportId": report_id}))


async def recent(client: AmazonClient, kind: str, since: datetime) -> Sequence[Report]:
    """The seller's reports of this kind asked for since then, the latest first, at most a hundred."""
    answer = await client.call(
        GET_REPORTS,
        query={
            "reportTypes": [kind],
            "marketplaceIds": [(await client.credentials()).place.id],
            "createdSince": stamp(since),
            "pageSize": 100,
        },
    )
    found = [_report(raw) for raw in objects(answer.get("reports"))]
    return sorted(found, key=lambda each: each.created_at or since, reverse=True)


async def document(
    client: AmazonClient, document_id: str, *, restricted: bool = False, most: int = documents.UNPACKED_BYTES
) -> bytes:
    """What was written, unpacked; Malformed where it holds more than `most` bytes. `restricted`: it names buyers (an
    Easy Ship label does), and is opened with a restricted data token made for it alone."""
    token = None
    if restricted:
        path = GET_REPORT_DOCUMENT.path.format(reportDocumentId=document_id)
        token = await client.restricted_token([{"method": "GET", "path": path}])
    answer = await client.call(GET_REPORT_DOCUMENT, path={"reportDocumentId": document_id}, restricted=token)
    return await documents.download(client.http, answer, most=most)


def _report(raw: Mapping[str, Json]) -> Report:
    with reading("report", dict(raw)):
        return Report(
            id=text(raw["reportId"]),
            kind=text(raw.get("reportType")),
            status=text(raw.get("processingStatus")),
            created_at=mapping.moment(raw.get("createdTime")),
            document=text(raw.get("reportDocumentId")),
        )
