import gzip
from datetime import timedelta

import pytest

from shipcrowd.integrations.amazon import reports
from shipcrowd.integrations.amazon.reports import Report
from shipcrowd.kernel.outbound import Malformed, Refused
from tests.integrations.amazon.far_side import NOW, refused

URL = "https://tortuga-prod-eu.s3-eu-west-1.amazonaws.com/report?X-Amz-Signature=secret"


async def test_a_report_is_asked_for_with_what_it_is_about(amazon):
    amazon.on("createReport", {"reportId": "900"})
    made = await reports.request(
        amazon.client(), reports.LISTINGS, start=NOW - timedelta(days=1), end=NOW, options={"custom": "true"}
    )
    assert made == "900"
    assert amazon.calls("createReport")[0].body == {
        "reportType": "GET_MERCHANT_LISTINGS_ALL_DATA",
        "marketplaceIds": ["A21TJRUUN4KGV"],
        "dataStartTime": "2026-11-19T06:45:00.000Z",
        "dataEndTime": "2026-11-20T06:45:00.000Z",
        "reportOptions": {"custom": "true"},
    }


@pytest.mark.parametrize(
    ("status", "ended"),
    [("IN_QUEUE", False), ("IN_PROGRESS", False), ("DONE", True), ("CANCELLED", True), ("FATAL", True), ("NEW", False)],
)
async def test_where_a_report_stands(amazon, status, ended):
    raw = {"reportId": "9", "reportType": "R", "processingStatus": status, "createdTime": "2026-11-20T06:45:00Z"}
    amazon.on("getReport", raw)
    found = await reports.get(amazon.client(), "9")
    assert (found, found.ended) == (Report("9", "R", status, NOW), ended)


async def test_the_latest_report_comes_first(amazon):
    raws = [{"reportId": str(n), "createdTime": f"2026-11-20T0{n}:00:00Z"} for n in (1, 3, 2)]
    amazon.on("getReports", {"reports": raws})
    found = await reports.recent(amazon.client(), "R", NOW - timedelta(hours=6))
    assert [each.id for each in found] == ["3", "2", "1"]
    assert amazon.calls("getReports")[0].query == {
        "reportTypes": "R",
        "marketplaceIds": "A21TJRUUN4KGV",
        "createdSince": "2026-11-20T00:45:00.000Z",
        "pageSize": "100",
    }


async def test_a_document_is_fetched_and_unpacked(amazon):
    amazon.on("getReportDocument", {"reportDocumentId": "d", "url": URL, "compressionAlgorithm": "GZIP"})
    amazon.document = gzip.compress(b"sku\tasin1")
    assert await reports.document(amazon.client(), "d") == b"sku\tasin1"
    assert amazon.calls("getReportDocument")[0].token == "Atza|first"


async def test_a_document_that_names_buyers_is_opened_with_a_token_for_it_alone(amazon):
    amazon.on("createRestrictedDataToken", {"restrictedDataToken": "Atz.sprdt|one", "expiresIn": 3600})
    amazon.on("getReportDocument", {"reportDocumentId": "amzn1.spdoc.1", "url": URL})
    amazon.document = b"%PDF-1.7"
    assert await reports.document(amazon.client(), "amzn1.spdoc.1", restricted=True) == b"%PDF-1.7"
    assert amazon.calls("createRestrictedDataToken")[0].body == {
        "restrictedResources": [{"method": "GET", "path": "/reports/2021-06-30/documents/amzn1.spdoc.1"}]
    }
    assert amazon.calls("getReportDocument")[0].token == "Atz.sprdt|one"


async def test_without_the_role_for_it_nothing_is_fetched(amazon):
    amazon.on("createRestrictedDataToken", refused(403, "Unauthorized", "Access to requested resource is denied."))
    with pytest.raises(Refused):
        await reports.document(amazon.client(), "d", restricted=True)
    assert amazon.calls("getReportDocument") == [] and amazon.documents == []


async def test_a_document_over_the_cap_is_not_read(amazon):
    amazon.on("getReportDocument", {"url": URL, "compressionAlgorithm": "GZIP"})
    amazon.document = gzip.compress(b"x" * 5000)
    with pytest.raises(Malformed, match="more than"):
        await reports.document(amazon.client(), "d", most=4999)


async def test_a_report_without_an_id_is_malformed(amazon):
    amazon.on("createReport", {})
    with pytest.raises(Malformed):
        await reports.request(amazon.client(), "R")
