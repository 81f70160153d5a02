"""Every document we send, held against Shopify's published schema and its published cost rule."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    InlineFragmentNode,
    NoDeprecatedCustomRule,
    OperationDefinitionNode,
    VariableNode,
    build_schema,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
    parse,
    validate,
    value_from_ast_untyped,
)

from shipcrowd.channels.contract import Milestone
from shipcrowd.integrations.shopify import documents, oauth, subscriptions, words
from shipcrowd.integrations.shopify.documents import Document

SPECS = Path(os.environ.get("SHIPCROWD_SPECS") or Path(__file__).parents[4] / "shared" / "specs") / "shopify"
SCHEMA = SPECS / "2026-04-admin-schema.graphql"
needs_schema = pytest.mark.skipif(not SCHEMA.exists(), reason="Shopify's published Admin schema is not here")

SENT: dict[str, Any] = {"ids": ["gid"] * documents.STOCK_PAGE}
FIRST = {"OrdersScan": documents.SCAN_PAGE, "Variants": documents.VARIANTS_PAGE}


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    # Shopify's own schema breaks rules graphql-core holds schemas to (deprecations of interface fields).
    return build_schema(SCHEMA.read_text(), assume_valid=True)


@needs_schema
@pytest.mark.slow
@pytest.mark.parametrize("document", documents.ALL, ids=lambda d: d.name)
def test_the_document_is_valid_and_costs_what_it_says(schema: GraphQLSchema, document: Document):
    assert validate(schema, parse(document.text)) == []
    assert document.cost == cost(schema, document, SENT | {"first": FIRST.get(document.name)})
    assert document.cost <= 1000


@needs_schema
@pytest.mark.slow
def test_no_document_uses_what_shopify_deprecates(schema: GraphQLSchema):
    for document in documents.ALL:
        assert validate(schema, parse(document.text), [NoDeprecatedCustomRule]) == [], document.name


@needs_schema
@pytest.mark.slow
def test_our_words_are_shopifys(schema: GraphQLSchema):
    def values(enum: str) -> set[str]:
        return set(schema.type_map[enum].values)  # pyright: ignore

    assert set(subscriptions.TOPICS) <= values("WebhookSubscriptionTopic")
    assert set(words.EVENTS.values()) <= values("FulfillmentEventStatus")
    assert values("OrderDisplayFinancialStatus") == words.UNPAID | words.PAID | words.GIVEN_BACK
    assert values("OrderDisplayFulfillmentStatus") <= set(words.FULFILMENT_STATES)
    assert values("FulfillmentOrderRequestStatus") >= words.AT_ANOTHER_SERVICE
    assert values("FulfillmentStatus") >= words.FULFILMENT_GONE
    assert {words.cancel_reason(text) for text in ("fraud", "stock", "payment", "buyer", "staff", "?")} == values(
        "OrderCancelReason"
    )


def test_every_milestone_has_an_event_and_every_document_is_named_once():
    assert set(words.EVENTS) == set(Milestone)
    names = [document.name for document in documents.ALL]
    assert len(names) == len(set(names))
    for document in documents.ALL:
        [operation] = [d for d in parse(document.text).definitions if isinstance(d, OperationDefinitionNode)]
        assert operation.name is not None
        assert (operation.name.value, operation.operation.value) == (document.name, document.kind)


def test_no_scope_is_asked_for_twice():
    assert len(set(oauth.SCOPES)) == len(oauth.SCOPES)


def cost(schema: GraphQLSchema, document: Document, variables: Mapping[str, Any]) -> int:
    """Scalars 0, an object or a plain list of them 1, a connection 2 + n × its node, a mutation 10. The lookup of
    many ids counts each, on the careful side."""
    definitions = parse(document.text).definitions
    fragments = {d.name.value: d for d in definitions if isinstance(d, FragmentDefinitionNode)}

    def of_selection(selections: Any, parent: Any) -> int:
        total, branches = 0, [0]
        for selection in selections.selections:
            if isinstance(selection, FieldNode):
                if selection.name.value not in ("__typename", "pageInfo"):
                    total += of_field(selection, parent)
            elif isinstance(selection, FragmentSpreadNode):
                fragment = fragments[selection.name.value]
                total += of_selection(fragment.selection_set, schema.get_type(fragment.type_condition.name.value))
            elif isinstance(selection, InlineFragmentNode):
                branches.append(
                    of_selection(selection.selection_set, schema.get_type(selection.type_condition.name.value))
                )
        return total + max(branches)

    def of_field(node: FieldNode, parent: Any) -> int:
        declared = parent.fields[node.name.value]
        named = get_named_type(declared.type)
        if is_leaf_type(named):
            return 0
        given = {
            argument.name.value: variables.get(argument.value.name.value)
            if isinstance(argument.value, VariableNode)
            else value_from_ast_untyped(argument.value)
            for argument in node.arguments or ()
        }
        if named.name.endswith("Connection"):
            [listed] = [s for s in node.selection_set.selections if s.name.value == "nodes"]
            record = get_named_type(named.fields["nodes"].type)
            return 2 + given["first"] * (1 + of_selection(listed.selection_set, record))
        one = 1 + of_selection(node.selection_set, named)
        many = len(given["ids"]) if given.get("ids") else 1
        return one * many if is_list_type(get_nullable_type(declared.type)) else one

    [operation] = [d for d in definitions if isinstance(d, OperationDefinitionNode)]
    if document.kind == "mutation":
        return 10
    return of_selection(operation.selection_set, schema.query_type)
