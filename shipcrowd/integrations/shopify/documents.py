"""Every GraphQL document we send, with what Shopify reckons it may cost at most.

The costs are checked by a contract test against the rule Shopify publishes (a connection 2 + n × its node, an object
or a plain list of them 1, a mutation 10); Shopify takes this much out of the bucket before it runs a document, and
refuses one above 1,000.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Document:
    name: str
    kind: Literal["query", "mutation"]
    cost: int
    text: str


SCAN_PAGE = 50  # small, so that a sweep that is cut short has kept its place
VARIANTS_PAGE = 150  # 250 would cost 1,252
STOCK_PAGE = 150  # Shopify takes 250 entries in a list; reading 150 levels costs 600

_LINE = """
fragment LineCore on LineItem {
  id sku title variantTitle quantity currentQuantity unfulfilledQuantity requiresShipping
  originalUnitPriceSet { shopMoney { amount } }
  discountedUnitPriceAfterAllDiscountsSet { shopMoney { amount } }
  taxLines { title rate priceSet { shopMoney { amount } } }
  variant { id sku barcode inventoryItem { id harmonizedSystemCode measurement { weight { value unit } } } }
  product { id }
}
"""

SHOP_INFO = Document(
    "ShopInfo",
    "query",
    4,
    """
query ShopInfo {
  shop { id name myshopifyDomain email currencyCode ianaTimezone taxesIncluded
    plan { publicDisplayName partnerDevelopment } }
  currentAppInstallation { id accessScopes { handle } }
}
""",
)

LOCATIONS = Document(
    "Locations",
    "query",
    102,
    """
query Locations {
  locations(first: 50, includeInactive: false) {
    nodes {
      id name isActive fulfillsOnlineOrders shipsInventory
      address { address1 city provinceCode zip countryCode }
    }
  }
}
""",
)

ORDERS_SCAN = Document(
    "OrdersScan",
    "query",
    52,
    """
query OrdersScan($first: Int!, $after: String, $q: String!) {
  orders(first: $first, after: $after, query: $q, sortKey: UPDATED_AT) {
    pageInfo { hasNextPage endCursor }
    nodes { id updatedAt }
  }
}
""",
)

ORDER_BY_ID = Document(
    "OrderById",
    "query",
    315,
    """
query OrderById($id: ID!) {
  order(id: $id) {
    id legacyResourceId name createdAt processedAt updatedAt cancelledAt cancelReason closedAt test
    displayFinancialStatus displayFulfillmentStatus returnStatus paymentGatewayNames requiresShipping
    email phone note tags sourceName taxesIncluded currencyCode customAttributes { key value }
    customer { id firstName lastName defaultEmailAddress { emailAddress } defaultPhoneNumber { phoneNumber } }
    shippingAddress { ...Postal }
    billingAddress { ...Postal }
    subtotalPriceSet { shopMoney { amount } }
    totalDiscountsSet { shopMoney { amount } }
    totalShippingPriceSet { shopMoney { amount } }
    totalTaxSet { shopMoney { amount } }
    currentTotalPriceSet { shopMoney { amount } }
    totalOutstandingSet { shopMoney { amount } }
    totalWeight
    lineItems(first: 20) { pageInfo { hasNextPage endCursor } nodes { ...LineCore } }
    transactions(first: 10) { id kind status gateway formattedGateway manualPaymentGateway }
    fulfillments(first: 10) { id status displayStatus }
    fulfillmentOrders(first: 10) {
      nodes {
        id status requestStatus fulfillBy
        fulfillmentHolds { id reason }
        deliveryMethod { methodType }
      }
    }
  }
}
fragment Postal on MailingAddress {
  firstName lastName name company address1 address2 city province provinceCode zip countryCodeV2 phone
}
"""
    + _LINE,
)

MORE_LINES = Document(
    "MoreLines",
    "query",
    653,
    """
query MoreLines($id: ID!, $after: String) {
  order(id: $id) { id lineItems(first: 50, after: $after) { pageInfo { hasNextPage endCursor } nodes { ...LineCore } } }
}
"""
    + _LINE,
)

ORDER_STANDING = Document(
    "OrderStanding",
    "query",
    1,
    """
query OrderStanding($id: ID!) { order(id: $id) { id cancelledAt displayFinancialStatus } }
""",
)

FULFILMENTS = Document(
    "Fulfilments",
    "query",
    3,
    """
query Fulfilments($id: ID!) {
  order(id: $id) { id fulfillments(first: 50) { id status trackingInfo(first: 10) { number } } }
}
""",
)

FULFILMENT_LINES = Document(
    "FulfilmentLines",
    "query",
    203,
    """
query FulfilmentLines($id: ID!, $after: String) {
  fulfillment(id: $id) {
    id status
    fulfillmentLineItems(first: 100, after: $after) {
      pageInfo { hasNextPage endCursor }
      nodes { id quantity lineItem { id } }
    }
  }
}
""",
)

OPEN_FULFILMENT_ORDERS = Document(
    "OpenFulfillmentOrders",
    "query",
    683,
    """
query OpenFulfillmentOrders($id: ID!, $after: String) {
  order(id: $id) {
    id
    fulfillmentOrders(first: 10, after: $after) {
      pageInfo { hasNextPage endCursor }
      nodes {
        id status requestStatus
        supportedActions { action }
        fulfillmentHolds { id reason displayReason }
        deliveryMethod { methodType }
        assignedLocation { name location { id } }
        lineItems(first: 30) {
          pageInfo { hasNextPage endCursor }
          nodes { id remainingQuantity lineItem { id } }
        }
      }
    }
  }
}
""",
)

FULFILMENT_ORDER_LINES = Document(
    "FulfillmentOrderLines",
    "query",
    203,
    """
query FulfillmentOrderLines($id: ID!, $after: String) {
  fulfillmentOrder(id: $id) {
    id
    lineItems(first: 100, after: $after) {
      pageInfo { hasNextPage endCursor }
      nodes { id remainingQuantity lineItem { id } }
    }
  }
}
""",
)

FULFIL = Document(
    "Fulfil",
    "mutation",
    10,
    """
mutation Fulfil($f: FulfillmentInput!) {
  fulfillmentCreate(fulfillment: $f) {
    fulfillment { id status trackingInfo(first: 10) { company number url } }
    userErrors { field message }
  }
}
""",
)

CANCEL_FULFILMENT = Document(
    "CancelFulfilment",
    "mutation",
    10,
    """
mutation CancelFulfilment($id: ID!) {
  fulfillmentCancel(id: $id) { fulfillment { id status } userErrors { field message } }
}
""",
)

TRACK_EVENT = Document(
    "TrackEvent",
    "mutation",
    10,
    """
mutation TrackEvent($e: FulfillmentEventInput!) {
  fulfillmentEventCreate(fulfillmentEvent: $e) {
    fulfillmentEvent { id status happenedAt }
    userErrors { field message }
  }
}
""",
)

VARIANTS = Document(
    "Variants",
    "query",
    752,
    """
query Variants($first: Int!, $after: String, $q: String) {
  productVariants(first: $first, after: $after, query: $q) {
    pageInfo { hasNextPage endCursor }
    nodes {
      id sku title price barcode
      inventoryItem { id tracked harmonizedSystemCode measurement { weight { value unit } } }
      product { id title status }
    }
  }
}
""",
)

STOCK = Document(
    "Stock",
    "query",
    600,
    """
query Stock($ids: [ID!]!, $loc: ID!) {
  nodes(ids: $ids) {
    __typename id
    ... on ProductVariant { inventoryItem { ...Level } }
    ... on InventoryItem { ...Level }
  }
}
fragment Level on InventoryItem {
  id tracked
  inventoryLevel(locationId: $loc) { id quantities(names: ["available"]) { name quantity } }
}
""",
)

SET_STOCK = Document(
    "SetStock",
    "mutation",
    10,
    """
mutation SetStock($input: InventorySetQuantitiesInput!, $key: String!) {
  inventorySetQuantities(input: $input) @idempotent(key: $key) {
    inventoryAdjustmentGroup { id reason changes { name delta quantityAfterChange } }
    userErrors { code field message }
  }
}
""",
)

HOOKS = Document(
    "Hooks",
    "query",
    202,
    """
query Hooks($after: String) {
  webhookSubscriptions(first: 100, after: $after) {
    pageInfo { hasNextPage endCursor }
    nodes { id topic uri format filter includeFields apiVersion { handle } }
  }
}
""",
)

HOOK = Document(
    "Hook",
    "mutation",
    10,
    """
mutation Hook($topic: WebhookSubscriptionTopic!, $s: WebhookSubscriptionInput!) {
  webhookSubscriptionCreate(topic: $topic, webhookSubscription: $s) {
    webhookSubscription { id topic uri format apiVersion { handle } }
    userErrors { field message }
  }
}
""",
)

UNHOOK = Document(
    "Unhook",
    "mutation",
    10,
    """
mutation Unhook($id: ID!) {
  webhookSubscriptionDelete(id: $id) { deletedWebhookSubscriptionId userErrors { field message } }
}
""",
)

CANCEL_ORDER = Document(
    "Cancel",
    "mutation",
    10,
    """
mutation Cancel($id: ID!, $reason: OrderCancelReason!, $restock: Boolean!, $m: OrderCancelRefundMethodInput) {
  orderCancel(orderId: $id, reason: $reason, restock: $restock, refundMethod: $m, notifyCustomer: false) {
    job { id done }
    orderCancelUserErrors { field message code }
  }
}
""",
)

PAID_ON_DELIVERY = Document(
    "PaidOnDelivery",
    "mutation",
    10,
    """
mutation PaidOnDelivery($input: OrderMarkAsPaidInput!) {
  orderMarkAsPaid(input: $input) { order { id displayFinancialStatus } userErrors { field message } }
}
""",
)

ALL: tuple[Document, ...] = (
    SHOP_INFO,
    LOCATIONS,
    ORDERS_SCAN,
    ORDER_BY_ID,
    MORE_LINES,
    ORDER_STANDING,
    FULFILMENTS,
    FULFILMENT_LINES,
    OPEN_FULFILMENT_ORDERS,
    FULFILMENT_ORDER_LINES,
    FULFIL,
    CANCEL_FULFILMENT,
    TRACK_EVENT,
    VARIANTS,
    STOCK,
    SET_STOCK,
    HOOKS,
    HOOK,
    UNHOOK,
    CANCEL_ORDER,
    PAID_ON_DELIVERY,
)
