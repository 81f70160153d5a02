import httpx2
import pytest

from shipcrowd.integrations.amazon import subscriptions
from shipcrowd.kernel.outbound import Malformed, Refused
from tests.integrations.amazon.far_side import ARN, channel_of, refused

MISSING = refused(404, "NotFound", "no subscription")
EXISTS = refused(409, "Conflict", "exists already")
THERE = {"payload": [{"destinationId": "d-1", "name": "x", "resource": {"sqs": {"arn": ARN}}}]}
ELSEWHERE = {"payload": [{"destinationId": "d-9", "name": "x", "resource": {"sqs": {"arn": "arn:aws:sqs:other"}}}]}


def subscribed(to="d-1"):
    def answer(asked):
        kind = asked.path["notificationType"]
        return {
            "payload": {
                "subscriptionId": f"s-{kind}",
                "destinationId": to,
                "payloadVersion": subscriptions.KINDS[kind].version,
            }
        }

    return answer


@pytest.fixture
def far(amazon):
    subscriptions.forget_destinations()
    amazon.lwa = [{"access_token": "Atc|own", "expires_in": 3600}]
    amazon.on("getDestinations", THERE)
    amazon.on("createDestination", {"payload": {"destinationId": "d-2"}})
    amazon.on("getSubscription", MISSING)
    amazon.on("createSubscription", subscribed())
    amazon.on("deleteSubscriptionById", {})
    yield amazon
    subscriptions.forget_destinations()


async def test_a_new_seller_is_subscribed_to_every_type(far):
    topics = await channel_of(far).subscribe("https://unused.example/")
    assert topics == list(subscriptions.KINDS)
    made = {asked.path["notificationType"]: asked.body for asked in far.calls("createSubscription")}
    assert set(made) == set(subscriptions.KINDS)
    assert made["ORDER_CHANGE"] == {
        "payloadVersion": "1.0",
        "destinationId": "d-1",
        "processingDirective": {
            "eventFilter": {
                "eventFilterType": "ORDER_CHANGE",
                "orderChangeTypes": ["OrderStatusChange", "BuyerRequestedChange"],
            }
        },
    }
    assert made["FEED_PROCESSING_FINISHED"] == {"payloadVersion": "2020-09-04", "destinationId": "d-1"}
    assert {asked.token for asked in far.calls("createSubscription")} == {"Atza|first"}
    assert {asked.token for asked in far.calls("getDestinations")} == {"Atc|own"}
    assert far.calls("createDestination") == []


async def test_what_is_in_force_is_left_alone(far):
    far.on("getSubscription", subscribed())
    assert await channel_of(far).subscribe("") == list(subscriptions.KINDS)
    assert far.calls("createSubscription") == far.calls("deleteSubscriptionById") == []


async def test_what_leads_elsewhere_is_made_anew(far):
    far.on("getSubscription", subscribed(to="old"))
    await channel_of(far).subscribe("")
    assert len(far.calls("deleteSubscriptionById")) == len(far.calls("createSubscription")) == len(subscriptions.KINDS)
    assert {asked.token for asked in far.calls("deleteSubscriptionById")} == {"Atc|own"}


async def test_the_destination_is_made_once_and_then_known(far):
    far.on("getDestinations", ELSEWHERE)
    await channel_of(far).subscribe("")
    await channel_of(far).subscribe("")
    [asked] = far.calls("createDestination")
    assert asked.body == {"name": "shipcrowd", "resourceSpecification": {"sqs": {"arn": ARN}}}
    assert len(far.calls("getDestinations")) == 1
    assert {asked.body["destinationId"] for asked in far.calls("createSubscription")} == {"d-2"}


async def test_a_destination_another_process_made_meanwhile_is_found(far):
    far.on("getDestinations", {"payload": []}, THERE)
    far.on("createDestination", EXISTS)
    await channel_of(far).subscribe("")
    assert {asked.body["destinationId"] for asked in far.calls("createSubscription")} == {"d-1"}


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (EXISTS, Refused),
        (refused(400, "InvalidInput", "queue policy"), Refused),
        ({"payload": {}}, Malformed),
        ({"payload": {"destinationId": ""}}, Malformed),
    ],
)
async def test_a_destination_that_cannot_be_made_is_told(far, answer, failure):
    far.on("getDestinations", {"payload": []})
    far.on("createDestination", answer)
    with pytest.raises(failure):
        await channel_of(far).subscribe("")
    assert far.calls("createSubscription") == []


async def test_a_subscription_made_meanwhile_counts(far):
    def once_missing(asked):
        return MISSING if len(far.calls("createSubscription")) == 0 else subscribed()(asked)

    far.on("getSubscription", once_missing)
    far.on("createSubscription", EXISTS)
    assert await channel_of(far).subscribe("") == list(subscriptions.KINDS)


async def test_a_type_that_is_refused_does_not_keep_the_others_away(far):
    def answer(asked):
        no_role = asked.path["notificationType"] == "FBA_OUTBOUND_SHIPMENT_STATUS"
        return refused(403, "Unauthorized", "no role") if no_role else subscribed()(asked)

    far.on("createSubscription", answer)
    topics = await channel_of(far).subscribe("")
    assert topics == [kind for kind in subscriptions.KINDS if kind != "FBA_OUTBOUND_SHIPMENT_STATUS"]


async def test_when_none_is_in_force_the_refusal_is_told(far):
    far.on("createSubscription", refused(403, "Unauthorized", "no role"))
    with pytest.raises(Refused) as raised:
        await channel_of(far).subscribe("")
    assert raised.value.code == "forbidden"


async def test_without_a_queue_nothing_is_subscribed(far):
    far.app = far.app.model_copy(update={"queue_arn": ""})
    assert await channel_of(far).subscribe("") == []
    assert far.asked == []


async def test_a_store_that_is_cut_is_unsubscribed_and_the_destination_stays(far):
    far.on("getSubscription", subscribed())
    far.on("deleteSubscriptionById", MISSING, {})
    await channel_of(far).unsubscribe()
    assert [asked.path["subscriptionId"] for asked in far.calls("deleteSubscriptionById")] == [
        f"s-{kind}" for kind in subscriptions.KINDS
    ]


async def test_what_was_never_subscribed_is_not_removed(far):
    far.on("getSubscription", {"payload": {}})
    await channel_of(far).unsubscribe()
    assert far.calls("deleteSubscriptionById") == []


async def test_a_removal_that_is_refused_is_told(far):
    far.on("getSubscription", subscribed())
    far.on("deleteSubscriptionById", httpx2.Response(400))
    with pytest.raises(Refused):
        await channel_of(far).unsubscribe()
