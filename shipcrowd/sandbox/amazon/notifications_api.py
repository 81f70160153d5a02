"""Notifications v1: destinations of the application, subscriptions of its sellers."""

import re

from shipcrowd.sandbox.amazon import publish
from shipcrowd.sandbox.amazon.call import Answer, Body, Call, Refused, invalid, not_found, record
from shipcrowd.sandbox.amazon.state import Destination, Subscription

ARN = re.compile(r"arn:aws:sqs:[^:\s]+:[^:\s]+:[^:\s]+")
OTHER_TYPES = frozenset(
    ("ANY_OFFER_CHANGED", "B2B_ANY_OFFER_CHANGED", "PRICING_HEALTH", "ACCOUNT_STATUS_CHANGED", "FEE_PROMOTION")
)
TYPES = frozenset(publish.ENVELOPES) | publish.EVENT_BRIDGE_ONLY | OTHER_TYPES
MOST_DESTINATIONS = 50


# --- destinations (grantless) ---------------------------------------------------------------------------------


def create_destination(call: Call) -> Answer:
    name, spec = call.body.get("name"), record(call.body.get("resourceSpecification"))
    if not isinstance(name, str) or not name or len(name) > 256:
        raise invalid("name is required")
    sqs, bridge = record(spec.get("sqs")), record(spec.get("eventBridge"))
    if bool(sqs) == bool(bridge):
        raise invalid("resourceSpecification needs exactly one of sqs and eventBridge")
    if sqs and not ARN.fullmatch(str(sqs.get("arn"))):
        raise invalid("resourceSpecification.sqs.arn is not the ARN of a queue")
    if sqs and str(sqs["arn"]).endswith(".fifo"):
        raise invalid("FIFO queues are not supported")
    if bridge and not (bridge.get("region") and bridge.get("accountId")):
        raise invalid("resourceSpecification.eventBridge needs region and accountId")
    mine = _mine(call)
    resource: Body = {"sqs": {"arn": sqs["arn"]}} if sqs else {"eventBridge": {**bridge, "name": f"aws.partner/{name}"}}
    if any(one.resource == resource for one in mine):
        raise Refused(409, "ResourceAlreadyExists", "A destination with this resource exists")
    if len(mine) >= MOST_DESTINATIONS:
        raise invalid("too many destinations")
    made = Destination(call.world.uuid(), call.app, name, resource)
    call.world.destinations[made.id] = made
    return Answer({"payload": _destination(made)})


def get_destinations(call: Call) -> Answer:
    return Answer({"payload": [_destination(one) for one in _mine(call)]})


def get_destination(call: Call) -> Answer:
    return Answer({"payload": _destination(_find_destination(call, call.path["destinationId"]))})


def delete_destination(call: Call) -> Answer:
    gone = _find_destination(call, call.path["destinationId"])
    if any(one.destination is gone for one in call.world.subscriptions.values()):
        raise Refused(409, "ResourceInUse", "The destination has subscriptions")
    del call.world.destinations[gone.id]
    return Answer({})


def _mine(call: Call) -> list[Destination]:
    return [one for one in call.world.destinations.values() if one.app is call.app]


def _find_destination(call: Call, destination_id: object) -> Destination:
    found = call.world.destinations.get(str(destination_id))
    if found is None or found.app is not call.app:
        raise not_found("The destination does not exist")
    return found


def _destination(it: Destination) -> Body:
    return {"destinationId": it.id, "name": it.name, "resource": it.resource}


# --- subscriptions --------------------------------------------------------------------------------------------


def create_subscription(call: Call) -> Answer:
    kind = _type(call)
    destination = _find_destination(call, call.body.get("destinationId"))
    version = call.body.get("payloadVersion")
    if kind in publish.ENVELOPES and version != publish.ENVELOPES[kind][0]:
        raise invalid(f"payloadVersion {version} is not supported for {kind}")
    if kind in publish.EVENT_BRIDGE_ONLY and destination.queue_arn:
        raise invalid(f"{kind} goes to Amazon EventBridge only")
    if kind in publish.ENVELOPES and not destination.queue_arn:
        raise invalid(f"{kind} goes to Amazon SQS only")
    if any(one.type == kind for one in _of_seller(call)):
        raise Refused(409, "ResourceAlreadyExists", f"A subscription to {kind} exists")
    directive = call.body.get("processingDirective")
    made = Subscription(
        call.world.uuid(), call.app, call.seller, kind, str(version), destination, record(directive) or None
    )
    call.world.subscriptions[made.id] = made
    return Answer({"payload": _subscription(made)})


def get_subscription(call: Call) -> Answer:
    kind, version = _type(call), call.query.get("payloadVersion")
    found = next((one for one in _of_seller(call) if one.type == kind and version in (None, one.payload_version)), None)
    if found is None:
        raise not_found(f"There is no subscription to {kind}")
    return Answer({"payload": _subscription(found)})


def get_subscriptions(call: Call) -> Answer:
    kinds = call.listed("notificationTypes")
    if not kinds:
        raise invalid("Missing required parameter: notificationTypes")
    call.number("pageSize", 30, 30, 100)
    found = [_subscription(one) for one in _of_seller(call) if one.type in kinds]
    return Answer({"payload": {"subscriptions": found}})


def get_subscription_by_id(call: Call) -> Answer:
    return Answer({"payload": _subscription(_find_subscription(call))})


def delete_subscription(call: Call) -> Answer:
    del call.world.subscriptions[_find_subscription(call).id]
    return Answer({})


def send_test(call: Call) -> Answer:
    """A sample of the type into the destination's queue."""
    kind, destination = _type(call), _find_destination(call, call.body.get("destinationId"))
    if destination.queue_arn is None:
        raise invalid("only queues can be tested")
    sample = {"test": True, "scenario": record(call.body.get("testNotification")).get("testScenario")}
    made = publish.test_notification(call.world, destination.queue_arn, kind, sample, call.app)
    return Answer({"payload": {"notificationId": made}})


def _type(call: Call) -> str:
    kind = call.path["notificationType"]
    if kind not in TYPES:
        raise invalid(f"{kind} is not a notification type")
    return kind


def _of_seller(call: Call) -> list[Subscription]:
    return [one for one in call.world.subscriptions.values() if one.seller is call.seller and one.app is call.app]


def _find_subscription(call: Call) -> Subscription:
    found = call.world.subscriptions.get(call.path["subscriptionId"])
    if found is None or found.app is not call.app or found.type != call.path["notificationType"]:
        raise not_found("The subscription does not exist")
    return found


def _subscription(it: Subscription) -> Body:
    body: Body = {
        "subscriptionId": it.id,
        "payloadVersion": it.payload_version,
        "destinationId": it.destination.id,
    }
    return body | ({"processingDirective": it.directive} if it.directive else {})
