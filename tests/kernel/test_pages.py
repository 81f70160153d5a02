"""Keyset pages: a cursor comes back as it went out, and anything else is refused, never an error of ours."""

import base64
import contextlib
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from shipcrowd.kernel import audit, pages, tenancy
from shipcrowd.kernel.audit import AuditEntry
from shipcrowd.kernel.errors import Invalid
from shipcrowd.kernel.ids import new_id

AT = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)


def packed(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_a_cursor_comes_back_as_it_went_out(at, row_id):
    assert pages.parse(pages.cursor(at, row_id)) == (at, row_id)


ID = str(new_id())
TAMPERED = {
    "nothing": "",
    "text": "not-a-cursor",
    "beyond ASCII": "₹₹₹₹",
    "not JSON": base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    "a number": packed(5),
    "null": packed(None),
    "an object": packed({"at": 1, "id": 2}),
    "one value": packed([AT.isoformat()]),
    "three values": packed([AT.isoformat(), ID, 1]),
    "no time": packed(["yesterday", ID]),
    "a naive time": packed(["2026-11-22T06:00:00", ID]),
    "a time that is a number": packed([5, ID]),
    "no id": packed([AT.isoformat(), "1"]),
    "an id that is a number": packed([AT.isoformat(), 5]),
    "an id that is null": packed([AT.isoformat(), None]),
    "an id that is a list": packed([AT.isoformat(), [ID]]),
    "before all time": packed(["0001-01-01T00:00:00+14:00", ID]),
    "after all time": packed(["9999-12-31T23:59:59-14:00", ID]),
    "deep nesting": packed("x")[:1] + base64.urlsafe_b64encode(b"[" * 290).decode(),
}


@pytest.mark.parametrize("after", TAMPERED.values(), ids=TAMPERED)
def test_a_cursor_we_did_not_make_is_refused(after):
    with pytest.raises(Invalid) as refused:
        pages.parse(after)
    assert refused.value.field == "after"


@given(st.text(max_size=60))
def test_no_text_at_all_is_more_than_refused(after):
    with contextlib.suppress(Invalid):
        pages.parse(after)


def test_a_page_knows_whether_there_is_another():
    rows = [(AT, new_id()) for _ in range(3)]
    kept, following = pages.page(rows, 3, lambda row: row)
    assert (list(kept), following) == (rows, None)
    kept, following = pages.page(rows, 2, lambda row: row)
    assert list(kept) == rows[:2] and pages.parse(following) == rows[1]


async def test_walking_the_pages_meets_every_row_once_also_those_of_one_moment(company):
    async with tenancy.acting_for(company) as session:
        for n in range(25):
            at = AT + timedelta(seconds=n // 5)  # five of each moment
            session.add(
                AuditEntry(company_id=company, at=at, actor="system", action="x", subject=f"thing:{n}", details={})
            )
    seen, after = [], None
    for _ in range(10):
        async with tenancy.acting_for(company) as session:
            query = select(AuditEntry).order_by(AuditEntry.at.desc(), AuditEntry.id.desc()).limit(4)
            if after:
                query = query.where(pages.older_than(AuditEntry.at, AuditEntry.id, after))
            rows, after = pages.page((await session.execute(query)).scalars().all(), 3, lambda row: (row.at, row.id))
            # A row that arrives meanwhile moves nothing.
            await audit.record(session, actor="system", action="new", subject="thing:new")
        seen += [row.subject for row in rows]
        if after is None:
            break
    assert sorted(subject for subject in seen if subject != "thing:new") == sorted(f"thing:{n}" for n in range(25))
    assert len(seen) == 25
