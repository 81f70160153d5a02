"""Every main page at a desk's width and a phone's: it fits, and the browser has nothing to complain of."""

import pytest

from shipcrowd.kernel import tenancy
from shipcrowd.shipping import queries as shipments
from shipcrowd.shipping import quoting
from shipcrowd.shipping.quoting import Package

pytestmark = [pytest.mark.browser, pytest.mark.slow]


async def test_every_main_page_fits_the_screen(anyone, day):
    company_id = day.seller.company_id
    to_ship, gone = day.orders["#KH2479"], day.orders["#KH2463"]
    quote = await quoting.quote(company_id, to_ship, package=Package(None, 300, 240, 60))
    async with tenancy.acting_for(company_id) as session:
        parcel = await shipments.got(session, day.shipments["#KH2466"])
        link = shipments.tracking_url(parcel).partition("/track/")[2]
    pages = {
        "orders": "/orders",
        "orders-filtered": "/orders?payment=cod&text=%23KH24",
        "order-new": "/orders/new",
        "order-ship": f"/orders/{to_ship}?quote={quote.id}",
        "order-gaps": f"/orders/{day.orders['#KH2478']}",
        "order-delivered": f"/orders/{gone}",
        "shipments": "/shipments",
        "shipment": f"/shipments/{day.shipments['#KH2463']}",
        "unconfirmed": "/shipments/unconfirmed",
        "manifests": "/manifests",
        "pickups": "/pickups",
        "places": "/places",
        "stores": "/stores",
        "store": f"/stores/{day.store_id}",
        "couriers": "/couriers",
        "wallet": "/wallet",
        "settings": "/settings",
        "jobs": "/jobs",
        "track": f"/track/{link}",
        "track-form": "/track",
        "missing": "/nowhere",
    }
    await anyone.goto("/login")
    await anyone.picture("login")
    await anyone.goto("/register")
    await anyone.picture("register")
    await anyone.sign_in(day)
    wide = {}
    for name, path in pages.items():
        await anyone.goto(path)
        await anyone.picture(name)
        if over := await anyone.overflow():
            wide[name] = over
    assert wide == {}
    assert anyone.complaints == []
