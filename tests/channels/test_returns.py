"""What comes back: read by the clock and by news, kept once, never taken back; and what the seller says to it."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from sqlalchemy import select

from shipcrowd.channels import jobs as channel_jobs
from shipcrowd.channels import returns
from shipcrowd.channels.models import MarketplaceReturn, StoreSync
from shipcrowd.channels.returns_contract import ChannelReturn, ReturnKind, ReturnResult, ReturnState
from shipcrowd.connections.models import Connection
from shipcrowd.kernel import clock, tenancy
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.outbound import Disconnected, Malformed, Unavailable
from shipcrowd.orders import privacy
from shipcrowd.orders.models import Order, OrderEvent
from shipcrowd.orders.schemas import Fulfilment
from tests import make
from tests.channels import look
from tests.channels.bazaar import created, order, webhook
from tests.support import drain

AT = datetime(2026, 11, 20, 9, tzinfo=UTC)


def back(external_id: str = "R1", **changes) -> ChannelReturn:
    given = {
        "kind": ReturnKind.customer,
        "order_external_id": "1001",
        "line_external_id": "1001-1",
        "state": ReturnState.open,
        "status": "created",
        "units": 1,
        "reason": "DAMAGED",
        "comment": "The lid is Asha's worry",
        "awb": "RET1",
        "location": "LOC1",
        "service_id": "sf-1",
        "updated_at": AT,
    }
    return ChannelReturn(external_id, **(given | changes))


async def read(company, store) -> None:
    await channel_jobs.read_returns.run(company, store)


async def kept(company) -> list[MarketplaceReturn]:
    async with tenancy.acting_for(company) as session:
        return list((await session.execute(select(MarketplaceReturn).order_by(MarketplaceReturn.id))).scalars())


async def timeline(company, kind: str = "return_") -> list[str]:
    async with tenancy.acting_for(company) as session:
        query = select(OrderEvent).where(OrderEvent.kind.startswith(kind)).order_by(OrderEvent.at, OrderEvent.id)
        return [event.words for event in (await session.execute(query)).scalars()]


@pytest.fixture
async def placed(company, store, far, http) -> None:
    """An order of the store that its seller ships."""
    body, headers = webhook("orders/create", far.external_id, created(order("1001")))
    far.put(order("1001"))
    assert (await http.post(f"/webhooks/bazaar/{store}", content=body, headers=headers)).status_code == 200
    await drain()


# --- reading --------------------------------------------------------------------------------------------------------


async def test_a_return_is_kept_with_its_order_and_told_on_its_timeline_once(company, store, far, placed):
    far.coming_back["R1"] = back()
    await read(company, store)
    await read(company, store)
    (row,) = await kept(company)
    assert (row.external_id, row.kind, row.state, row.units) == ("R1", "customer", "open", 1)
    async with tenancy.acting_for(company) as session:
        assert row.order_id == (await session.execute(select(Order.id))).scalar_one()
    assert await timeline(company) == ["Return R1: the buyer sends back 1: DAMAGED"]


async def test_a_read_starts_where_the_last_one_was_a_little_before(company, store, far):
    await read(company, store)
    connection = await look.connection(company, store)
    first, second = far.asked_back
    assert first == connection.connected_at - timedelta(days=30)
    assert timedelta(0) < clock.now() - second < timedelta(minutes=20)


async def test_a_read_that_broke_off_does_not_move_the_mark(company, store, far):
    async with tenancy.acting_for(company) as session:
        before = (await session.execute(select(StoreSync.returns_through))).scalar_one()
    far.fail("returns", Malformed("half a list"))
    await read(company, store)
    async with tenancy.acting_for(company) as session:
        sync = (await session.execute(select(StoreSync))).scalar_one()
    assert sync.returns_through == before
    assert sync.next_returns_at - clock.now() > timedelta(minutes=50)
    (entry,) = await look.log(company, "returns")
    assert entry.error == "half a list"


async def test_the_order_may_come_after_its_return(company, store, far, http):
    far.coming_back["R1"] = back()
    await read(company, store)
    assert (await kept(company))[0].order_id is None
    body, headers = webhook("orders/create", far.external_id, created(order("1001")))
    await http.post(f"/webhooks/bazaar/{store}", content=body, headers=headers)
    await drain()
    far.coming_back = {"R2": back("R2", order_external_id="another")}
    await read(company, store)
    first, second = await kept(company)
    assert first.order_id is not None
    assert second.order_id is None
    assert await timeline(company) == ["Return R1: the buyer sends back 1: DAMAGED"]


async def test_what_is_unknown_is_kept_and_moves_nothing(company, store, far, placed):
    far.coming_back["R1"] = back(state=ReturnState.approved, status="approved")
    await read(company, store)
    far.coming_back["R1"] = back(state=None, status="teleported", updated_at=AT + timedelta(hours=1))
    await read(company, store)
    (row,) = await kept(company)
    assert (row.state, row.status) == ("approved", "teleported")


async def test_one_that_cannot_be_read_is_kept_as_failed_and_the_others_go_on(company, store, far, placed, http):
    far.coming_back = {"R1": back(problem="no quantity"), "R2": back("R2")}
    await read(company, store)
    assert [row.external_id for row in await kept(company)] == ["R2"]
    (item,) = (await http.get("/integrations/bazaar/failed-items")).json()["items"]
    assert (item["external_id"], item["reason"]) == ("return:R1", "no quantity")
    far.coming_back["R1"] = back()
    assert (await http.post(f"/integrations/bazaar/failed-items/{item['id']}/replay")).status_code == 202
    await drain()
    assert clock.now() - far.asked_back[-1] > timedelta(days=29)
    assert {row.external_id for row in await kept(company)} == {"R1", "R2"}
    assert (await http.get("/integrations/bazaar/failed-items")).json()["items"] == []


async def test_news_of_a_return_has_it_read_afresh(company, store, far, placed, http):
    far.coming_back["R1"] = back()
    await read(company, store)
    far.coming_back["R1"] = back(kind=None, state=ReturnState.completed, updated_at=AT + timedelta(hours=2))
    body, headers = webhook("returns/updated", far.external_id, {"id": "R1", "order": "1001"})
    assert (await http.post(f"/webhooks/bazaar/{store}", content=body, headers=headers)).status_code == 200
    await drain()
    assert ((await kept(company))[0].state, far.count("returns_named")) == ("completed", 1)
    assert (await timeline(company))[-1] == "Return R1: arrived"


async def test_news_of_one_we_do_not_know_waits_for_the_search_that_says_what_it_is(company, store, far, placed):
    far.coming_back["R9"] = back("R9", kind=None)
    await channel_jobs.read_return.run(company, store, ("R9",))
    assert await kept(company) == []
    far.coming_back["R9"] = back("R9")
    await read(company, store)
    assert [row.external_id for row in await kept(company)] == ["R9"]


# --- never backwards ------------------------------------------------------------------------------------------------

NEWS = (
    back(),
    back(state=ReturnState.approved, status="approved", updated_at=AT + timedelta(hours=1)),
    back(state=ReturnState.picked_up, status="picked", updated_at=AT + timedelta(hours=2), awb="RET2"),
    back(state=ReturnState.completed, status="completed", updated_at=AT + timedelta(hours=3)),
)


@pytest.mark.parametrize("news", list(permutations(NEWS)), ids=lambda news: ",".join(each.status for each in news))
def test_in_whatever_order_it_is_told_a_return_ends_where_it_ended(news):
    row = MarketplaceReturn(external_id="R1", kind="customer", state=None, **returns._news(news[0]))
    row.state = news[0].state.value
    states = []
    for each in news[1:]:
        returns.merge(row, each)
        states.append(returns.RETURN_STEPS[ReturnState(row.state)])
    assert row.state == "completed"
    assert states == sorted(states)


def test_newer_news_does_not_take_a_return_back_either():
    row = MarketplaceReturn(external_id="R1", kind="customer", state="completed", **returns._news(NEWS[3]))
    late = back(state=ReturnState.open, status="created", updated_at=AT + timedelta(days=1))
    assert returns.merge(row, late)
    assert (row.state, row.status) == ("completed", "created")


@pytest.mark.parametrize(
    ("state", "action", "heard"),
    [
        ("open", "approve", False),
        ("approved", "approve", True),
        ("picked_up", "approve", True),
        ("completed", "pickup", True),
        ("rejected", "approve", False),
        ("rejected", "reject", True),
        ("completed", "reject", False),
        ("cancelled", "pickup", False),
        ("approved", "attempt", False),
        (None, "approve", False),
    ],
)
def test_whether_a_store_has_heard_a_decision_is_seen_by_where_the_return_is(state, action, heard):
    assert returns.reached(state, action) is heard


# --- deciding -------------------------------------------------------------------------------------------------------


@pytest.fixture
async def waiting(company, store, far, placed) -> str:
    """The id of a return the seller may decide."""
    far.coming_back["R1"] = back()
    await read(company, store)
    return str((await kept(company))[0].id)


def moves_on(far, state: ReturnState, status: str):
    def after(decision):
        far.coming_back["R1"] = back(state=state, status=status, updated_at=clock.now())
        return ReturnResult(decision.external_id, True)

    far.after_decision = after


async def test_a_decision_goes_to_the_store_and_its_end_is_seen(company, store, far, waiting, http):
    url = f"/integrations/bazaar/stores/{store}/returns/{waiting}"
    assert (await http.get(url)).json()["may"] == ["approve", "reject", "cancel"]
    moves_on(far, ReturnState.approved, "approved")
    at = "2026-11-25T10:00:00+05:30"
    answer = await http.post(f"{url}/approve", json={"at": at, "comment": "gladly"})
    assert answer.status_code == 202
    assert (answer.json()["decision_state"], answer.json()["may"]) == ("asked", [])
    assert (await http.post(f"{url}/approve", json={"at": at})).status_code == 202  # once
    refused = await http.post(f"{url}/reject", json={})
    assert (refused.status_code, refused.json()["code"]) == (409, "decision_under_way")
    await drain()
    (decision,) = far.decided
    assert (decision.action, decision.location, decision.service_id, decision.comment) == (
        "approve", "LOC1", "sf-1", "gladly",
    )  # fmt: skip
    now = (await http.get(answer.json()["follow"].removeprefix("/api/v1"))).json()
    assert (now["state"], now["decision_state"], now["may"]) == ("approved", "done", ["pickup", "attempt", "cancel"])
    assert "Return R1: the store was told to approve it" in await timeline(company)


async def test_what_the_store_refuses_is_said_and_may_be_said_again(company, store, far, waiting, http):
    url = f"/integrations/bazaar/stores/{store}/returns/{waiting}"
    far.after_decision = lambda decision: ReturnResult(
        decision.external_id, False, "LATE", "The time to reject is over"
    )
    await http.post(f"{url}/reject", json={})
    await drain()
    now = (await http.get(url)).json()
    assert (now["state"], now["decision_state"]) == ("open", "refused")
    assert now["decision_because"] == "The time to reject is over"
    assert "reject" in now["may"]


async def test_a_decision_that_may_have_been_heard_is_looked_up_before_it_is_sent_again(
    company, store, far, waiting, http
):
    def heard(decision):
        far.coming_back["R1"] = back(state=ReturnState.approved, status="approved", updated_at=clock.now())
        raise Unavailable("no answer", maybe_received=True)

    far.after_decision = heard
    await http.post(f"/integrations/bazaar/stores/{store}/returns/{waiting}/approve", json={})
    await drain(skip_waits=True)
    assert len(far.decided) == 1
    (row,) = await kept(company)
    assert (row.state, row.decision_state) == ("approved", "done")


async def test_what_the_store_cannot_do_just_now_is_tried_again(company, store, far, waiting, http):
    answers = [ReturnResult("R1", False, "BUSY", "later", again=True), ReturnResult("R1", True)]
    far.after_decision = lambda decision: answers.pop(0)
    await http.post(f"/integrations/bazaar/stores/{store}/returns/{waiting}/approve", json={})
    await drain(skip_waits=True)
    assert len(far.decided) == 2
    assert (await kept(company))[0].decision_state == "done"


async def test_a_store_that_never_answers_leaves_it_to_a_person(company, store, far, waiting, http):
    far.fail("decide_returns", *[Unavailable("503")] * 8)
    await http.post(f"/integrations/bazaar/stores/{store}/returns/{waiting}/approve", json={})
    await drain(skip_waits=True)
    (row,) = await kept(company)
    assert row.decision_state == "refused"
    assert row.decision_because.startswith("The store did not answer")


async def test_a_store_that_lost_us_is_told_when_it_is_connected_again(company, store, far, waiting, http, connect):
    far.fail("decide_returns", Disconnected("revoked"))
    await http.post(f"/integrations/bazaar/stores/{store}/returns/{waiting}/approve", json={})
    await drain()
    assert far.decided == []
    assert (await kept(company))[0].decision_state == "asked"
    await connect()
    await drain()
    assert [each.action for each in far.decided] == ["approve"]


async def test_a_return_of_what_the_marketplace_carries_is_not_the_sellers_to_decide(
    company, store, far, waiting, http
):
    async with tenancy.acting_for(company) as session:
        row = (await session.execute(select(Order))).scalar_one()
        row.fulfilment = Fulfilment.marketplace_logistics.value
    url = f"/integrations/bazaar/stores/{store}/returns/{waiting}"
    assert (await http.get(url)).json()["may"] == []
    answer = await http.post(f"{url}/approve", json={})
    assert (answer.status_code, answer.json()["code"]) == (409, "not_for_the_seller")
    await drain()
    assert far.decided == []
    assert (await kept(company))[0].decision is None


async def test_what_its_state_does_not_allow_is_refused_and_nothing_is_sent(company, store, far, waiting, http):
    url = f"/integrations/bazaar/stores/{store}/returns/{waiting}"
    answer = await http.post(f"{url}/complete", json={})
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_return_state")
    assert (await http.post(f"{url}/burn", json={})).status_code == 422
    assert (
        await http.post(f"/integrations/bazaar/stores/{store}/returns/{new_id()}/approve", json={})
    ).status_code == 404
    await drain()
    assert far.decided == []


async def test_the_list_is_filtered_and_paged(company, store, far, placed, http):
    far.coming_back = {
        f"R{n}": back(f"R{n}", kind=ReturnKind.undelivered if n % 2 else ReturnKind.customer) for n in range(5)
    }
    await read(company, store)
    url = f"/integrations/bazaar/stores/{store}/returns"
    page = (await http.get(url, params={"limit": 2})).json()
    rest = (await http.get(url, params={"limit": 5, "after": page["next"]})).json()
    assert len({each["external_id"] for each in page["items"] + rest["items"]}) == 5
    undelivered = (await http.get(url, params={"kind": "undelivered"})).json()["items"]
    assert {each["external_id"] for each in undelivered} == {"R1", "R3"}
    assert (await http.get(url, params={"state": "completed"})).json()["items"] == []
    assert undelivered[0]["order_number"]


async def test_a_channel_without_returns_says_so(company, connect, http, far):
    plain = await connect(platform="plain")
    answer = await http.get(f"/integrations/plain/stores/{plain}/returns")
    assert (answer.status_code, answer.json()["code"]) == (409, "channel_cannot")
    await read(company, plain)
    async with tenancy.acting_for(company) as session:
        sync = (await session.execute(select(StoreSync).where(StoreSync.id == plain))).scalar_one()
    assert sync.next_returns_at - clock.now() > timedelta(hours=23)


async def test_the_clock_reads_each_store_that_is_due_once(company, store, far):
    await drain()
    far.calls.clear()
    async with tenancy.acting_for(company) as session:
        (await session.execute(select(StoreSync))).scalar_one().next_returns_at = clock.now() - timedelta(seconds=1)
    await channel_jobs.returns_due.run()
    await look.only(company)
    await channel_jobs.returns_due.run()
    await look.only(company)
    await drain()
    assert far.count("returns") == 1


# --- personal data --------------------------------------------------------------------------------------------------


async def test_what_the_buyer_wrote_goes_with_the_buyer_and_does_not_come_back(company, store, far, waiting):
    assert (await kept(company))[0].comment == "The lid is Asha's worry"
    async with tenancy.acting_for(company) as session:
        order_id = (await session.execute(select(Order.id))).scalar_one()
        connection = (await session.execute(select(Connection).where(Connection.id == store))).scalar_one()
        whose = privacy.of_buyer(company, connection.id, external_ids=("1001",), email=None, phone=None)
        await privacy.redact(session, whose, after="")
    await channel_jobs.forget_return_comments.run(company, (order_id,))
    assert (await kept(company))[0].comment == ""
    far.coming_back = {"R1": back(updated_at=AT + timedelta(hours=5)), "R2": back("R2")}
    await read(company, store)
    assert [row.comment for row in await kept(company)] == ["", ""]


async def test_what_was_written_to_a_return_without_an_order_goes_by_age(company, store, far):
    far.coming_back = {"R1": back(), "R2": back("R2")}
    await read(company, store)
    async with tenancy.acting_for(company) as session:
        row = (
            await session.execute(select(MarketplaceReturn).where(MarketplaceReturn.external_id == "R1"))
        ).scalar_one()
        row.created_at = clock.now() - timedelta(days=181)
    await channel_jobs.tidy.run()
    assert [row.comment for row in await kept(company)] == ["", "The lid is Asha's worry"]


async def test_nobody_sees_anothers_returns(company, store, far, waiting, http, who):
    who.become(await make.company())
    assert (await http.get(f"/integrations/bazaar/stores/{store}/returns/{waiting}")).status_code == 404
    assert (
        await http.post(f"/integrations/bazaar/stores/{store}/returns/{waiting}/approve", json={})
    ).status_code == 404
    await drain()
    assert far.decided == []
