"""One shipment of Flipkart's, from the buyer's click to her door: by Flipkart's courier, and by the seller's own."""

from io import BytesIO
from uuid import UUID

from pypdf import PdfReader

from shipcrowd.documents import keeping
from shipcrowd.kernel import tenancy
from shipcrowd.sandbox.flipkart.schemas import Cancellation, Hold, Kind, NewItem
from shipcrowd.sandbox.schemas import NewScan
from shipcrowd.shipping import forgetting, papers
from tests.journeys.flipkart.world import FlipkartSeller
from tests.journeys.world import URL, World, kinds


def paise(rupees: str) -> int:
    return round(float(rupees) * 100)


async def test_a_shipment_is_notified_packed_labelled_dispatched_and_tracked_to_the_door(asha: FlipkartSeller):
    there, order = await asha.place(Kind.standard_cod)
    assert (order["number"], order["state"], order["fulfilment"]) == (there.order_id, "ready", "marketplace_logistics")
    assert (order["payment"], order["to_collect_paise"]) == ("cod", paise(there.to_collect))
    assert order["problems"] == {}  # Flipkart knows the buyer; we need not
    assert [each["outcome"] for each in await asha.deliveries()] == ["handled"]

    money = await asha.at_api.money()
    parcel = await asha.book(order)
    packed = asha.there(there.id)
    assert (packed.status, parcel["state"], parcel["awb"]) == ("PACKED", "pickup_pending", packed.awb)
    assert (parcel["courier"], parcel["charge_paise"]) == ("flipkart", 0)
    assert await asha.at_api.money() == money
    label = await asha.at_api.pdf("GET", f"/shipments/{parcel['id']}/label.pdf")
    words = [page.extract_text() for page in PdfReader(BytesIO(label)).pages]
    assert len(words) == 2  # its label and its invoice, as Flipkart made them
    assert packed.awb is not None
    assert packed.awb in words[0]

    page = f"{URL}/shipments/{parcel['id']}"
    shown = (await asha.at_api.http.get(page)).text
    assert f"/shipments/{parcel['id']}/papers/invoice" in shown
    assert 'id="forms"' not in shown
    printed = await asha.at_api.http.post(f"{page}/papers/invoice", data={"csrf_token": asha.at_api.csrf})
    assert printed.content.startswith(b"%PDF-")
    for kind in ("invoice", "bare-label"):
        paper = await asha.at_api.pdf("GET", f"/shipments/{parcel['id']}/papers/{kind}.pdf")
        assert len(PdfReader(BytesIO(paper)).pages) == 1, kind
        assert paper[:5] == b"%PDF-"

    await asha.hand_over(parcel)
    assert asha.there(there.id).status == "READY_TO_DISPATCH"
    assert "dispatch_told" in kinds(await asha.order(there.id))

    seen: list[str] = []
    for step in ("PICKUP_COMPLETE", "SHIPPED", "DELIVERED"):
        assert asha.desk.move(asha.id, there.id).status == step
        await asha.settle()
        seen.append((await asha.tracked(parcel))["state"])
    assert seen == ["picked_up", "in_transit", "delivered"]
    done = await asha.order(there.id)
    assert done["state"] == "delivered"
    await asha.at_api.books_are_right()


async def test_a_self_ship_parcel_goes_by_the_sellers_courier_and_flipkart_hears_each_step(
    world: World, asha: FlipkartSeller
):
    there, order = await asha.place(Kind.self_ship)
    assert (order["state"], order["fulfilment"], order["problems"]) == ("ready", "seller", {})
    parcel = await asha.book(order)
    assert parcel["state"] == "pickup_pending"
    # A label is no news there: Flipkart takes a dispatch for shipped.
    assert asha.there(there.id).status == "APPROVED"

    world.desk.scan(parcel["awb"], NewScan(status="PICKED UP", location="Okhla"))
    await asha.settle()
    gone = asha.there(there.id)
    assert (gone.status, gone.awb, gone.courier) == ("SHIPPED", parcel["awb"], parcel["carrier"])

    world.desk.fail_delivery(parcel["awb"])
    await asha.settle()
    assert (await asha.at_api.shipment(parcel["id"]))["state"] == "delivery_failed"
    assert len(asha.desk.world.sellers[asha.id].shipments[there.id].attempts) == 1
    assert asha.there(there.id).status == "SHIPPED"

    world.desk.deliver(parcel["awb"])
    await asha.settle()
    assert asha.there(there.id).status == "DELIVERED"
    assert (await asha.order(there.id))["state"] == "delivered"
    announcements = (await asha.at_api.get("/integrations/flipkart/announcements"))["items"]
    assert [(each["state"], each["last_error"]) for each in announcements] == [("sent", "")]


async def test_what_flipkart_holds_waits_and_is_packed_once_released(asha: FlipkartSeller):
    there, order = await asha.place(Kind.on_hold)
    assert order["state"] == "pending"
    assert order["holds"] == ["on hold at Flipkart"]
    asha.desk.release(asha.id, there.id)
    await asha.settle()
    released = await asha.order(there.id)
    assert (released["state"], released["holds"]) == ("ready", [])
    assert (await asha.book(released))["state"] == "pickup_pending"


async def test_a_partial_cancellation_is_subtracted_and_the_rest_is_packed(asha: FlipkartSeller):
    items = (NewItem(sku="BOT-1L-BLU", quantity=3), NewItem(sku="MASALA-200", quantity=1, price="199"))
    there, order = await asha.place(Kind.standard_cod, items=items)
    assert order["units"] == 4
    asha.desk.cancel(asha.id, there.id, Cancellation(quantities={"BOT-1L-BLU": 1}))
    await asha.settle()
    now, left = asha.there(there.id), await asha.order(there.id)
    assert (left["state"], left["units"]) == ("ready", 3)
    assert "partly-cancelled" in left["tags"] or now.items[0].quantity == 2
    assert left["to_collect_paise"] == left["total_paise"] == paise(now.to_collect) < order["total_paise"]
    assert {line["sku"]: line["units"] for line in left["lines"]} == {"BOT-1L-BLU": 2, "MASALA-200": 1}
    assert (await asha.book(left))["state"] == "pickup_pending"
    assert asha.there(there.id).status == "PACKED"


async def test_what_flipkarts_own_warehouse_ships_is_shown_and_never_booked(asha: FlipkartSeller):
    there, order = await asha.place(Kind.fbf)
    assert (order["state"], order["fulfilment"]) == ("ignored", "marketplace_warehouse")
    await asha.at_api.refused("POST", "/quotes", {"order_id": order["id"]}, status=422)
    assert asha.there(there.id).status == "APPROVED"


async def test_of_many_packed_at_once_the_held_one_fails_alone(asha: FlipkartSeller):
    placed = [await asha.place() for _ in range(3)]
    held = placed[1][0]
    # Flipkart holds it, and its notification is still on its way when the seller packs all three.
    asha.desk.notify(asha.id, None)
    asha.desk.hold(asha.id, held.id, Hold())
    run = await asha.at_api.post("/shipments/bulk", {"order_ids": [order["id"] for _, order in placed]})
    await asha.settle()
    seen = {
        there.id: [parcel["state"] for parcel in await asha.at_api.shipments(order_id=order["id"])]
        for there, order in placed
    }
    refused = await asha.at_api.shipments(state="refused")
    assert seen == {there.id: ["refused" if there.id == held.id else "pickup_pending"] for there, _ in placed}
    assert [(parcel["reason_code"], "holds" in parcel["reason"]) for parcel in refused] == [("on_hold", True)]
    assert [asha.there(there.id).status for there, _ in placed] == ["PACKED", "APPROVED", "PACKED"]
    assert (await asha.at_api.get(f"/shipments/bulk/{run['id']}"))["finished"] is True


async def test_a_states_forms_are_printed_filled_in_told_and_the_shipment_is_packed(asha: FlipkartSeller):
    there, order = await asha.place(form="FORM 27C")
    refused = await asha.book(order)
    assert (refused["state"], refused["reason_code"]) == ("refused", "forms_needed")
    assert "FORM 27C" in refused["reason"]
    paper = f"/shipments/{refused['id']}/papers"
    problem = await asha.at_api.refused("GET", f"{paper}/invoice.pdf", status=409)
    assert problem["code"] == "no_paper_yet"
    forms = await asha.at_api.pdf("GET", f"{paper}/forms.pdf")
    assert "FORM 27C" in PdfReader(BytesIO(forms)).pages[0].extract_text()

    form = {"name": "FORM 27C", "number": "ACK-9"}
    page = f"{URL}/shipments/{refused['id']}"
    shown = (await asha.at_api.http.get(page)).text
    assert 'id="forms"' in shown
    empty = await asha.at_api.http.post(f"{page}/forms", data={"csrf_token": asha.at_api.csrf, "name": "FORM 27C"})
    assert empty.status_code == 422
    assert asha.desk.world.sellers[asha.id].shipments[there.id].form_acknowledged is None
    typed = await asha.at_api.http.post(f"{page}/forms", data=form | {"csrf_token": asha.at_api.csrf})
    assert typed.status_code == 303, typed.text
    assert asha.desk.world.sellers[asha.id].shipments[there.id].form_acknowledged == "ACK-9"
    await asha.settle()
    told = await asha.order(there.id)
    assert "forms_told" in kinds(told)
    assert (await asha.book(told))["state"] == "pickup_pending"
    # Told once more, nothing happens: it waits for no form any more.
    await asha.at_api.post(f"/shipments/{refused['id']}/forms", {"forms": [form | {"number": "ACK-10"}]})
    assert asha.desk.world.sellers[asha.id].shipments[there.id].form_acknowledged == "ACK-9"


async def test_the_invoice_is_kept_with_the_label_and_goes_with_the_buyer(asha: FlipkartSeller):
    there, order = await asha.place()
    parcel = await asha.book(order)
    path, company = f"/shipments/{parcel['id']}/papers/invoice.pdf", asha.at_api.company_id
    key = papers.invoice_key_of(company, UUID(parcel["id"]))
    assert (await keeping.store().get(key)).startswith(b"%PDF-")
    # Kept: Flipkart need not be asked again.
    at_flipkart = asha.desk.world.sellers[asha.id].shipments[there.id]
    packed_at, at_flipkart.packed_at = at_flipkart.packed_at, None
    assert await asha.at_api.pdf("GET", path)
    at_flipkart.packed_at = packed_at
    await asha.hand_over(parcel)

    for _ in ("PICKUP_COMPLETE", "SHIPPED", "DELIVERED"):
        asha.desk.move(asha.id, there.id)
    await asha.tracked(parcel)
    async with tenancy.acting_for(company) as session:
        await forgetting.forget_receivers.enqueue(session, company_id=company, order_ids=(UUID(order["id"]),))
    await asha.settle()
    assert not await keeping.store().exists(key)
    problem = await asha.at_api.refused("GET", path, status=409)
    assert problem["code"] == "receiver_forgotten"
    await papers.fetch_invoice(company, UUID(parcel["id"]))
    assert not await keeping.store().exists(key)


async def test_papers_are_the_marketplaces_and_of_nobody_elses_parcel(asha: FlipkartSeller, world: World):
    _, order = await asha.place(Kind.self_ship)
    parcel = await asha.book(order)
    problem = await asha.at_api.refused("GET", f"/shipments/{parcel['id']}/papers/invoice.pdf", status=404)
    assert problem["code"] == "no_such_paper"
    form = {"forms": [{"name": "a", "number": "b"}]}
    await asha.at_api.refused("POST", f"/shipments/{parcel['id']}/forms", form, status=404)
    _, hers = await asha.place()
    packed = await asha.book(hers)
    other = await world.newcomer("Mallory")
    await other.refused("GET", f"/shipments/{packed['id']}/papers/invoice.pdf", status=404)
