"""Parcels in the words of Amazon Shipping (v2), both ways. Pure: no network, no database, no clock.

A parcel sold at Amazon is described by its order, whose receiver Amazon knows; any other by its receiver. Source:
shipping v2, and Amazon's tutorial "Purchase a shipment from a rate".
"""

import base64
import binascii
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shipcrowd.couriers.contract import (
    Booking,
    BookingLine,
    BookingRequest,
    Flow,
    Parcel,
    PickupPoint,
    Progress,
    Scan,
    ServiceOffer,
)
from shipcrowd.integrations.amazon.mapping import moment
from shipcrowd.integrations.amazon.raw import entries, objects, reading, text, within
from shipcrowd.kernel import clock
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.outbound import Json, Malformed, Refused
from shipcrowd.pincodes.address import Address

Body = dict[str, Json]

AMAZON = "amazon"
NAME, LINE, LINES, PHONE, NOTE = 50, 60, 3, 20, 256
"""How many letters a name, a line of an address, a phone and a note to the driver hold; how many lines there are."""

FORWARD: Mapping[str, Progress] = {
    "ReadyForReceive": Progress.pickup_pending,
    "PickupDone": Progress.picked_up,
    "Departed": Progress.in_transit,
    "ArrivedAtCarrierFacility": Progress.in_transit,
    "AvailableForPickup": Progress.in_transit,
    "RecipientRequestedAlternateDeliveryTiming": Progress.in_transit,
    "OutForDelivery": Progress.out_for_delivery,
    "DeliveryAttempted": Progress.delivery_failed,
    "Rejected": Progress.delivery_failed,
    "Undeliverable": Progress.delivery_failed,
    "Delivered": Progress.delivered,
    "ReturnInitiated": Progress.rto_initiated,
    "PickupCancelled": Progress.cancelled,
    "Lost": Progress.lost,
}
"""Event of the way there → ours."""

RETURNS: Mapping[str, Progress] = {
    "ReadyForReceive": Progress.rto_initiated,
    "ReturnInitiated": Progress.rto_initiated,
    "PickupDone": Progress.rto_in_transit,
    "Departed": Progress.rto_in_transit,
    "ArrivedAtCarrierFacility": Progress.rto_in_transit,
    "DeliveryAttempted": Progress.rto_in_transit,
    "OutForDelivery": Progress.rto_out_for_delivery,
    "Delivered": Progress.rto_delivered,
    "Lost": Progress.lost,
}
"""Event of the way back → ours."""


# --- what we tell ---------------------------------------------------------------------------------------------------


def enquiry(parcel: Parcel) -> Body:
    """What `getRates` is asked about a parcel nobody has booked yet: the towns, and nobody's name."""
    return _shipment(
        _town(parcel.from_city, parcel.from_state, parcel.from_pincode),
        _town(parcel.to_city, parcel.to_state, parcel.to_pincode),
        _package(
            "quote", parcel, parcel.declared_value, [{"quantity": 1, "itemValue": _amount(parcel.declared_value)}]
        ),
        order_id=parcel.order_external_id if parcel.sold_at == AMAZON else None,
        to_collect=parcel.to_collect,
    )


def described(request: BookingRequest) -> Body:
    """What `getRates` is asked about a parcel that is to be bought. Raises Refused for an address that does not fit."""
    body = _shipment(
        _place(request.ship_from),
        _address(request.ship_to, request.ship_to.name),
        _package(request.reference, request, request.declared_value, [_item(request, line) for line in request.lines]),
        order_id=_order_id(request),
        to_collect=request.to_collect,
    )
    body["returnTo"] = _place(request.return_to)
    if request.ship_from.gstin:
        body["taxDetails"] = [{"taxType": "GST", "taxRegistrationNumber": request.ship_from.gstin}]
    return body


def one_step(request: BookingRequest, services: Sequence[str]) -> Body:
    """What `oneClickShipment` is asked: the parcel, and which services will do."""
    body = described(request)
    collect = body.pop("valueAddedServices", None)
    if collect is not None:
        amount = within(collect, "collectOnDelivery", "amount")
        body["valueAddedServicesDetails"] = [{"id": "CollectOnDelivery", "amount": amount}]
    return body | {"serviceSelection": {"serviceId": list(services)}, "labelSpecifications": LABEL}


LABEL: Body = {
    "format": "PDF",
    "size": {"width": 4, "length": 6, "unit": "INCH"},
    "needFileJoining": False,
    "requestedDocumentTypes": ["LABEL"],
}
"""The label Amazon prints where no rate says which it can."""


def purchase(token: str, rate: Mapping[str, Json], to_collect: Money) -> Body:
    """What `purchaseShipment` is asked. Raises Refused where the rate prints no PDF."""
    body: Body = {
        "requestToken": token,
        "rateId": text(rate["rateId"]),
        "requestedDocumentSpecification": _specification(rate),
    }
    if to_collect and (services := _cash_services(rate)):
        body["requestedValueAddedServices"] = services
    return body


def _shipment(ship_from: Body, ship_to: Body, package: Body, *, order_id: str | None, to_collect: Money) -> Body:
    body: Body = {"shipFrom": ship_from, "packages": [package], "channelDetails": {"channelType": "EXTERNAL"}}
    if order_id is not None:
        body["channelDetails"] = {"channelType": "AMAZON", "amazonOrderDetails": {"orderId": order_id}}
    else:
        body["shipTo"] = ship_to
    if to_collect:
        body["valueAddedServices"] = {"collectOnDelivery": {"amount": _amount(to_collect)}}
    return body


def _order_id(request: BookingRequest) -> str | None:
    return request.order_external_id if request.sold_at == AMAZON else None


def _package(reference: str, size: Parcel | BookingRequest, value: Money, items: Sequence[Body]) -> Body:
    centimetres = {"length": size.length_mm, "width": size.breadth_mm, "height": size.height_mm}
    return {
        "dimensions": {side: number / 10 for side, number in centimetres.items()} | {"unit": "CENTIMETER"},
        "weight": {"unit": "GRAM", "value": size.weight_grams},
        "insuredValue": _amount(value),
        "packageClientReferenceId": reference,
        "items": list(items),
    }


def _item(request: BookingRequest, line: BookingLine) -> Body:
    known = line.external_id if _order_id(request) is not None else line.sku
    item: Body = {"quantity": line.units, "itemValue": _amount(line.unit_price), "description": line.name}
    return item | ({"itemIdentifier": known} if known else {})


def _amount(money: Money) -> Body:
    return {"value": money.paise / 100, "unit": "INR"}


def _town(city: str, state: str, pincode: str) -> Body:
    return {
        "name": "Not known yet",
        "addressLine1": city or pincode,
        "city": city or pincode,
        "stateOrRegion": state or pincode,
        "postalCode": pincode,
        "countryCode": "IN",
    }


def _place(point: PickupPoint) -> Body:
    return _address(point.address, point.name or point.address.name)


def _address(address: Address, name: str) -> Body:
    """Raises Refused where the street does not fit: what is cut off is what the driver would look for."""
    street = ", ".join(part for part in (address.company, address.line1, address.line2) if part)
    lines = textwrap.wrap(street, LINE)
    if len(lines) > LINES:
        raise Refused("address_too_long", f"Amazon takes an address of {LINES} lines of {LINE} letters; shorten it.")
    found: Body = {
        "name": name.strip()[:NAME],
        "city": address.city,
        "stateOrRegion": address.state or address.pincode,
        "postalCode": address.pincode,
        "countryCode": address.country,
    }
    found |= {f"addressLine{number}": line for number, line in enumerate(lines, start=1)}
    if phone := address.mobile or (address.phone or "").strip()[:PHONE]:
        found["phoneNumber"] = phone
    return found


def _specification(rate: Mapping[str, Json]) -> Body:
    """A PDF label the rate can print, each choice its first."""
    for known in objects(rate.get("supportedDocumentSpecifications")):
        if text(known.get("format")) != "PDF":
            continue
        option = (objects(known.get("printOptions")) or [Body()])[0]
        found = LABEL | {"size": within(known, "size")}
        if layouts := entries(option.get("supportedPageLayouts")):
            found["pageLayout"] = layouts[0]
        if resolutions := entries(option.get("supportedDPIs")):
            found["dpi"] = resolutions[0]
        joining = entries(option.get("supportedFileJoiningOptions"))
        return found | ({"needFileJoining": joining[0]} if joining and False not in joining else {})
    raise Refused("no_pdf_label", "Amazon prints no PDF label for this service; choose another.")


def _cash_services(rate: Mapping[str, Json]) -> list[Json]:
    """What has to be chosen for cash to be collected, where the rate lists it."""
    for group in objects(rate.get("availableValueAddedServiceGroups")):
        for service in objects(group.get("valueAddedServices")):
            known = text(service.get("id"))
            if "".join(filter(str.isalpha, known)).lower() == "collectondelivery":
                return [{"id": known}]
    return []


# --- what we are told -----------------------------------------------------------------------------------------------


def offers(rates: Mapping[str, Json], now: datetime) -> list[ServiceOffer]:
    """The services of a `getRates` answer that can be booked from here. Raises Malformed."""
    with reading("rates", rates):
        return [_offer(rate, now) for rate in objects(rates.get("rates")) if bookable(rate)]


def bookable(rate: Mapping[str, Json]) -> bool:
    """Whether a rate can be bought with what we know: some ask for papers of their own."""
    return rate.get("requiresAdditionalInputs") is not True


def why_none(rates: Mapping[str, Json]) -> str:
    """Amazon's reasons for offering nothing."""
    reasons = [
        text(reason.get("message")) or text(reason.get("code"))
        for each in objects(rates.get("ineligibleRates"))
        for reason in objects(each.get("ineligibilityReasons"))
    ]
    return "; ".join(dict.fromkeys(filter(None, reasons)))[:500]


def cost(value: Json) -> Money | None:
    """A charge in rupees; None in any other currency."""
    amount = within(value)
    return Money.rupees(text(amount["value"])) if text(amount.get("unit")) == "INR" else None


def _offer(rate: Mapping[str, Json], now: datetime) -> ServiceOffer:
    promised = within(rate, "promise", "deliveryWindow")
    return ServiceOffer(
        service=text(rate["serviceId"]),
        name=text(rate.get("serviceName")) or text(rate["serviceId"]),
        carrier=text(rate.get("carrierName")) or "Amazon Shipping",
        min_days=_days(promised.get("start"), now),
        max_days=_days(promised.get("end"), now),
        cost=cost(rate.get("totalCharge")),
    )


def _days(value: Json, now: datetime) -> int | None:
    at = moment(value)
    return None if at is None else max(math.ceil((at - now).total_seconds() / 86_400), 0)


@dataclass(frozen=True)
class Known:
    """How Amazon knows a parcel it carries; we keep it as one text."""

    carrier: str
    shipment: str

    def __str__(self) -> str:
        return f"{self.carrier}/{self.shipment}"


def known(kept: str) -> Known:
    carrier, _, shipment = kept.partition("/")
    return Known(carrier, shipment)


def booking(
    bought: Mapping[str, Json], carrier_id: str, carrier: str, charged: Money | None, label_url: str
) -> Booking:
    """A purchase's answer. Raises Malformed; then the parcel exists all the same."""
    with reading("purchase", {key: value for key, value in bought.items() if key != "packageDocumentDetails"}):
        package = objects(bought.get("packageDocumentDetails"))[0]
        awb = text(package.get("trackingId"))
        if not awb:
            raise Malformed("a parcel without a tracking id")
        pickup = moment(within(bought, "promise", "pickupWindow").get("start"))
        return Booking(
            awb=awb,
            carrier=carrier or "Amazon Shipping",
            courier_shipment_id=str(Known(carrier_id, text(bought["shipmentId"]))),
            label_url=label_url,
            charged=charged,
            pickup_date=clock.ist(pickup).date() if pickup else None,
        )


def label(details: Mapping[str, Json]) -> bytes:
    """The PDF in a package's documents. Raises Malformed."""
    for paper in objects(details.get("packageDocuments")):
        if (text(paper.get("type")), text(paper.get("format"))) != ("LABEL", "PDF"):
            continue
        try:
            pdf = base64.b64decode(text(paper.get("contents")), validate=True)
        except binascii.Error as error:
            raise Malformed("Amazon's label is not base64") from error
        if not pdf.startswith(b"%PDF"):
            raise Malformed("Amazon's label is no PDF")
        return pdf
    raise Malformed("Amazon sent no label")


def scans(tracked: Mapping[str, Json]) -> tuple[Scan, ...]:
    """The events of a `getTracking` answer, oldest first. Raises Malformed."""
    with reading("tracking", tracked):
        return tuple(sorted((_scan(event) for event in objects(tracked["eventHistory"])), key=lambda scan: scan.at))


def _scan(event: Mapping[str, Any]) -> Scan:
    at, code = moment(event["eventTime"]), text(event["eventCode"])
    if at is None:
        raise Malformed("an event without a time")
    returning = text(event.get("shipmentType")) == "RETURNS"
    return Scan(
        at=at,
        status=code,
        progress=(RETURNS if returning else FORWARD).get(code),
        flow=Flow.forward,
        location=text(within(event, "location").get("city")),
        remark="on its way back" if returning else "",
    )
