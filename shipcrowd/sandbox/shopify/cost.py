"""What a document costs by Shopify's rule, before it runs (from its `first` arguments) and after (from the answer).

Scalars and enums are free, an object costs 1, an interface the dearest of its branches, a connection 2 plus its
nodes, a mutation 10 whatever it selects.
"""

from collections.abc import Mapping
from typing import Any, cast

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    is_leaf_type,
    is_object_type,
)

MUTATION = 10
CONNECTION = 2
OBJECT = 1

Variables = Mapping[str, Any]
Data = Any


class Coster:
    """Costs one operation of a validated document."""

    def __init__(
        self, schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode, variables: Variables
    ) -> None:
        self._schema = schema
        self._fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        self._operation = operation
        self._variables = variables

    def requested(self) -> int:
        if self._operation.operation is OperationType.MUTATION:
            return MUTATION * len(self._operation.selection_set.selections)
        root = self._schema.query_type
        assert root is not None
        return self._selection(self._operation.selection_set, root)

    def actual(self, data: Data) -> int:
        """The cost of what came back: an empty page or a null costs nothing."""
        if self._operation.operation is OperationType.MUTATION:
            return MUTATION * len(self._operation.selection_set.selections)
        root = self._schema.query_type
        assert root is not None
        return self._answered(self._operation.selection_set, root, data) if data else 0

    def _selection(self, selections: SelectionSetNode, parent: GraphQLObjectType) -> int:
        cost, dearest = 0, 0
        for node in selections.selections:
            if isinstance(node, FieldNode):
                cost += self._field(node, parent)
                continue
            body, on = self._fragment(node)
            within = self._selection(body, on or parent)
            if on is None or on is parent:
                cost += within
            else:
                dearest = max(dearest, within)
        return cost + dearest

    def _field(self, node: FieldNode, parent: GraphQLObjectType) -> int:
        definition = parent.fields.get(node.name.value)
        if definition is None or node.selection_set is None:
            return 0  # __typename and leaves
        kind: GraphQLNamedType = cast(GraphQLNamedType, get_named_type(definition.type))
        if is_leaf_type(kind) or kind.name == "PageInfo":
            return 0
        inner = self._selection(node.selection_set, cast(GraphQLObjectType, kind)) if hasattr(kind, "fields") else 0
        if kind.name.endswith("Connection"):
            return CONNECTION + self._asked_for(node) * inner
        return inner if kind.name.endswith("Edge") else OBJECT + inner

    def _answered(self, selections: SelectionSetNode, parent: GraphQLObjectType, data: Data) -> int:
        cost = 0
        for node in selections.selections:
            if not isinstance(node, FieldNode):
                body, on = self._fragment(node)
                if on is None or on is parent or not is_object_type(parent):
                    cost += self._answered(body, on or parent, data)
                continue
            definition = parent.fields.get(node.name.value)
            key = node.alias.value if node.alias else node.name.value
            value: Data = cast(Mapping[str, Data], data).get(key) if isinstance(data, Mapping) else None
            if definition is None or node.selection_set is None or value is None:
                continue
            kind: GraphQLNamedType = cast(GraphQLNamedType, get_named_type(definition.type))
            if kind.name == "PageInfo" or not hasattr(kind, "fields"):
                continue
            within = cast(GraphQLObjectType, kind)
            if kind.name.endswith("Connection"):
                cost += CONNECTION + self._answered(node.selection_set, within, value)
                continue
            own = 0 if kind.name.endswith("Edge") else OBJECT
            many: list[Data] = cast(list[Data], value) if isinstance(value, list) else [value]
            costs = [own + self._answered(node.selection_set, within, one) for one in many]
            # A plain list counts once, like the rule before it ran; the nodes of a connection count each.
            listed = isinstance(value, list) and not parent.name.endswith("Connection")
            cost += max(costs, default=0) if listed else sum(costs)
        return cost

    def _fragment(self, node: Any) -> tuple[SelectionSetNode, GraphQLObjectType | None]:
        if isinstance(node, FragmentSpreadNode):
            found = self._fragments[node.name.value]
            return found.selection_set, self._type(found.type_condition.name.value)
        assert isinstance(node, InlineFragmentNode)
        on = node.type_condition.name.value if node.type_condition else None
        return node.selection_set, self._type(on) if on else None

    def _type(self, name: str) -> GraphQLObjectType | None:
        kind = self._schema.type_map.get(name)
        return kind if is_object_type(kind) else None

    def _asked_for(self, node: FieldNode) -> int:
        for argument in node.arguments or ():
            if argument.name.value in ("first", "last"):
                value = argument.value
                if isinstance(value, IntValueNode):
                    return int(value.value)
                if isinstance(value, VariableNode):
                    given = self._variables.get(value.name.value)
                    return given if isinstance(given, int) else 0
        return 0
