"""Amazon Shipping v2: rates that hold for ten minutes, a purchase that happens once, labels, tracking, failed tries."""

import base64
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

from shipcrowd.sandbox.amazon import parcels
from shipcrowd.sandbox.amazon.call import (
    Answer,
    Body,
    Call,
    invalid,
    not_found,
    parse_time,
    record,
    records,
    stamp,
    texts,
)
from shipcrowd.sandbox.amazon.parcels import CARRIER, SERVICES, Parcel, Quote

BUSINESSES = frozenset(f"AmazonShipping_{one}" for one in ("US", "IN", "UK", "UAE", "SA", "EG", "IT", "ES", "FR", "JP"))
OFFER_LIFE = timedelta(minutes=10)
UNSERVED = ("194", "744", "737")  # pincodes that begin so are not reached
MOST_GRAMS = 30_000
ADDRESS = ("name", "addressLine1", "city", "stateOrRegion", "countryCode", "postalCode")
GRAMS: Mapping[str, Decimal] = {
    "GRAM": Decimal(1), "KILOGRAM": Decimal(1000), "OUNCE": Decimal("28.3495"), "POUND": Decimal("453.592"),
}  # fmt: skip


# --- rates ----------------------------------------------------------------------------------------------------


def get_rates(call: Call) -> Answer:
    quote = _quote(call)
    call.world.quotes[quote.token] = quote
    rates = [_rate(call, quote, service) for service in quote.charges]
    body: Body = {"requestToken": quote.token, "rates": rates}
    if not rates:
        body["ineligibleRates"] = [
            {
                "serviceId": service,
                "serviceName": name,
                "carrierId": CARRIER,
                "carrierName": "Amazon Shipping",
                "ineligibilityReasons": [_why(quote)],
            }
            for service, (name, _, _) in SERVICES.items()
        ]
    return Answer({"payload": body})


def _why(quote: Quote) -> Body:
    if quote.grams > MOST_GRAMS:
        return {"code": "WEIGHT_RESTRICTIONS", "message": "The package is too heavy."}
    return {"code": "NO_COVERAGE", "message": "The destination is not served."}


def _quote(call: Call) -> Quote:
    """What the request describes, priced. Raises 400 for what cannot be shipped at all."""
    if call.headers.get("x-amzn-shipping-business-id") not in BUSINESSES:
        raise invalid("x-amzn-shipping-business-id is missing or unknown")
    ship_from, ship_to = _address(call.body, "shipFrom"), record(call.body.get("shipTo"))
    channel = record(call.body.get("channelDetails"))
    order_id = record(channel.get("amazonOrderDetails")).get("orderId")
    if channel.get("channelType") not in ("AMAZON", "EXTERNAL"):
        raise invalid("channelDetails.channelType is missing or unknown")
    if channel["channelType"] == "AMAZON":
        order = call.seller.orders.get(str(order_id))
        if order is None:
            raise invalid("channelDetails.amazonOrderDetails.orderId does not exist")
        # The model: with Amazon's own channel the address given is not looked at.
        ship_to = {"postalCode": order.person.pincode, "name": order.person.name, "city": order.person.city}
    else:
        ship_to = _address(call.body, "shipTo")
    packages = records(call.body.get("packages"))
    if len(packages) != 1:
        raise invalid("packages: exactly one is taken in India")
    package = packages[0]
    reference = package.get("packageClientReferenceId")
    missing = [name for name in ("dimensions", "weight", "insuredValue", "items") if not package.get(name)]
    if missing or not isinstance(reference, str) or not reference:
        raise invalid(f"packages[0] lacks {', '.join(missing) or 'packageClientReferenceId'}")
    grams = _grams(record(package["weight"]))
    pincode = str(ship_to.get("postalCode", ""))
    served = grams <= MOST_GRAMS and not pincode.startswith(UNSERVED)
    cod = _cod(call.body)
    charges = {
        service: base + Decimal(20) * (grams // 500) + (Decimal(35) if cod else Decimal(0))
        for service, (_, base, _) in SERVICES.items()
        if served
    }
    return Quote(
        token=call.world.uuid(),
        seller_id=call.seller.id,
        until=call.now + OFFER_LIFE,
        reference=reference,
        ship_from=ship_from,
        ship_to=ship_to,
        grams=grams,
        cod=cod,
        order_id=str(order_id) if channel["channelType"] == "AMAZON" else None,
        charges=charges,
    )


def _address(body: Body, name: str) -> Body:
    address = record(body.get(name))
    if missing := [one for one in ADDRESS if not address.get(one)]:
        raise invalid(f"{name} lacks {', '.join(missing)}")
    if len(str(address["name"])) > 50 or len(str(address["addressLine1"])) > 60:
        raise invalid(f"{name}: name holds 50 signs and a line 60")
    return address


def _grams(weight: Body) -> int:
    value, unit = weight.get("value"), weight.get("unit")
    if not isinstance(value, int | float) or isinstance(value, bool) or value <= 0 or unit not in GRAMS:
        raise invalid("packages[0].weight is invalid")
    return int(Decimal(str(value)) * GRAMS[str(unit)])


def _cod(body: Body) -> Decimal:
    """Cash to collect: `valueAddedServices` of getRates, `valueAddedServicesDetails` of oneClickShipment."""
    named = record(record(body.get("valueAddedServices")).get("collectOnDelivery"))
    listed = records(body.get("valueAddedServicesDetails"))
    # How oneClickShipment spells the id is nowhere published; every spelling of the words is taken, nothing else.
    if any(str(one.get("id")).replace("_", "").lower() != "collectondelivery" for one in listed):
        raise invalid("valueAddedServicesDetails: the service is not offered in India")
    amount = record(named.get("amount") or (listed[0].get("amount") if listed else None))
    if not amount:
        return Decimal(0)
    value = amount.get("value")
    if amount.get("unit") != "INR" or not isinstance(value, int | float) or value <= 0:
        raise invalid("collectOnDelivery.amount is invalid")
    return Decimal(str(value))


def _money(amount: Decimal) -> Body:
    return {"value": float(amount), "unit": "INR"}


def _promise(call: Call, service: str) -> Body:
    days = SERVICES[service][2]
    return {
        "pickupWindow": {"start": stamp(call.now), "end": stamp(call.now + timedelta(days=1))},
        "deliveryWindow": {
            "start": stamp(call.now + timedelta(days=days)),
            "end": stamp(call.now + timedelta(days=days + 1)),
        },
    }


def _rate(call: Call, quote: Quote, service: str) -> Body:
    return {
        "rateId": f"{quote.token}#{service}",
        "carrierId": CARRIER,
        "carrierName": "Amazon Shipping",
        "serviceId": service,
        "serviceName": SERVICES[service][0],
        "billedWeight": {"unit": "GRAM", "value": quote.grams},
        "totalCharge": _money(quote.charges[service]),
        "promise": _promise(call, service),
        "supportedDocumentSpecifications": [
            {
                "format": kind,
                "size": {"width": 4, "length": 6, "unit": "INCH"},
                "printOptions": [
                    {
                        "supportedDPIs": [203, 300],
                        "supportedPageLayouts": ["DEFAULT"],
                        "supportedFileJoiningOptions": [False],
                        "supportedDocumentDetails": [{"name": "LABEL", "isMandatory": True}],
                    }
                ],
            }
            for kind in ("PDF", "ZPL")
        ],
        "availableValueAddedServiceGroups": [],
        "requiresAdditionalInputs": False,
        "paymentType": "PAY_THROUGH_AMAZON",
    }


# --- purchase -------------------------------------------------------------------------------------------------


def purchase(call: Call) -> Answer:
    """Buy what was quoted. The same idempotency key again is the same shipment."""
    key = call.headers.get("x-amzn-idempotencykey", "")
    known = call.world.purchases.get((call.seller.id, key)) if key else None
    if known:
        return Answer({"payload": _purchased(call, known)})
    quote = call.world.quotes.get(str(call.body.get("requestToken")))
    service = str(call.body.get("rateId", "")).partition("#")[2]
    if quote is None or quote.seller_id != call.seller.id or service not in quote.charges:
        raise invalid("requestToken or rateId is invalid")
    if quote.until <= call.now:
        raise invalid("The request token has expired.", code="TOKEN_EXPIRED")
    kind = _format(call.body, "requestedDocumentSpecification")
    parcel = parcels.book(call.world, call.seller, quote, service, kind)
    if key:
        call.world.purchases[call.seller.id, key] = parcel
    return Answer({"payload": _purchased(call, parcel)})


def one_click(call: Call) -> Answer:
    """Quote and buy in one step: the cheapest of the services named."""
    quote = _quote(call)
    wanted = texts(record(call.body.get("serviceSelection")).get("serviceId"))
    able = [one for one in wanted if one in quote.charges]
    kind = _format(call.body, "labelSpecifications")
    if not able:
        raise invalid("None of the services in serviceSelection can ship this")
    service = min(able, key=lambda one: quote.charges[one])
    parcel = parcels.book(call.world, call.seller, quote, service, kind)
    body = _purchased(call, parcel) | {
        "carrier": {"id": CARRIER, "name": "Amazon Shipping"},
        "service": {"id": service, "name": SERVICES[service][0]},
        "totalCharge": _money(parcel.charge),
    }
    return Answer({"payload": body})


def _format(body: Body, name: str) -> str:
    spec = record(body.get(name))
    kind = spec.get("format")
    if (
        kind not in ("PDF", "ZPL")
        or not record(spec.get("size"))
        or "LABEL" not in texts(spec.get("requestedDocumentTypes"))
    ):
        raise invalid(f"{name} is not one of the supported document specifications")
    return str(kind)


def _purchased(call: Call, parcel: Parcel) -> Body:
    return {
        "shipmentId": parcel.shipment_id,
        "packageDocumentDetails": [_documents(parcel)],
        "promise": _promise(call, parcel.service),
    }


def _documents(parcel: Parcel) -> Body:
    content = base64.b64encode(parcels.label(parcel)).decode()
    return {
        "packageClientReferenceId": parcel.reference,
        "trackingId": parcel.tracking_id,
        "packageDocuments": [{"type": "LABEL", "format": parcel.format, "contents": content}],
    }


def get_documents(call: Call) -> Answer:
    parcel = _parcel(call)
    if call.needed("packageClientReferenceId") != parcel.reference:
        raise not_found("The package does not exist")
    if call.query.get("format", parcel.format) != parcel.format:
        raise invalid("The label exists only in the format it was bought in")
    return Answer({"payload": {"shipmentId": parcel.shipment_id, "packageDocumentDetail": _documents(parcel)}})


def cancel(call: Call) -> Answer:
    parcel = _parcel(call)
    if not parcel.cancelled and parcel.events[-1].code not in parcels.CANCELLABLE:
        raise invalid(f"A shipment that is {parcel.events[-1].code} cannot be cancelled")
    if not parcel.cancelled:
        parcel.cancelled = True
        parcels.add_event(call.world, parcel, "PickupCancelled")
    return Answer({"payload": {}})


def _parcel(call: Call) -> Parcel:
    found = call.world.parcels.get(call.path["shipmentId"])
    if found is None or found.seller_id != call.seller.id:
        raise not_found("The shipment does not exist")
    return found


# --- under way ------------------------------------------------------------------------------------------------


def get_tracking(call: Call) -> Answer:
    parcel = _tracked(call, call.needed("trackingId"))
    if call.needed("carrierId") != CARRIER:
        raise not_found("The tracking id does not exist at this carrier")
    summary: Body = {"status": parcels.STATUS[parcel.events[-1].code]}
    if parcel.events[-1].detail:
        summary["trackingDetailCodes"] = {"forward": [parcel.events[-1].detail], "returns": []}
    body = {
        "trackingId": parcel.tracking_id,
        "alternateLegTrackingId": parcel.return_tracking_id or "",
        "eventHistory": [
            {
                "eventCode": one.code,
                "location": {"city": one.city, "countryCode": "IN"},
                "eventTime": stamp(one.at),
                "shipmentType": "RETURNS" if one.returning else "FORWARD",
            }
            for one in parcel.events
        ],
        "promisedDeliveryDate": stamp(parcel.promised),
        "summary": summary,
    }
    return Answer({"payload": body})


def _tracked(call: Call, tracking_id: str) -> Parcel:
    for one in call.world.parcels.values():
        if one.seller_id == call.seller.id and tracking_id in (one.tracking_id, one.return_tracking_id):
            return one
    raise not_found("The tracking id does not exist")


def ndr_feedback(call: Call) -> Answer:
    """What to do after a delivery failed: try again, on another day, or bring it back."""
    parcel = _tracked(call, str(call.body.get("trackingId")))
    action, data = call.body.get("ndrAction"), record(call.body.get("ndrRequestData"))
    if action not in ("RESCHEDULE", "REATTEMPT", "RTO"):
        raise invalid("ndrAction is missing or unknown")
    if parcel.events[-1].code not in ("DeliveryAttempted", "Undeliverable"):
        raise invalid("Feedback is taken after a failed delivery only")
    if action == "RESCHEDULE" and parse_time(str(data.get("rescheduleDate")), "rescheduleDate") <= call.now:
        raise invalid("rescheduleDate lies in the past")
    if len(str(data.get("additionalAddressNotes", ""))) > 256:
        raise invalid("additionalAddressNotes holds 256 signs")
    parcel.ndr.append(str(action))
    if action == "RTO":
        parcels.add_event(call.world, parcel, "ReturnInitiated")
    return Answer(status=204)
