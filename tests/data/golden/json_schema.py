"""Makes json_schema.json: which values the jsonschema package accepts.

Run: python json_schema.py > json_schema.json   (jsonschema 4.26)
"""

import json

from jsonschema import Draft202012Validator

TREE = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"value": {"type": "integer"}, "children": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
            "required": ["value"],
            "additionalProperties": False,
        }
    },
}
# Each schema with values, most of them on both sides of an edge.
SCHEMAS = [
    ({"type": "integer"}, [1, 1.0, 1.5, "1", True, None, -0.0, 1e300]),
    ({"type": ["string", "null"]}, ["", None, 0, [], {}]),
    ({"const": 1}, [1, 1.0, True, "1", [1]]),
    ({"enum": [0, False, "a", [1, 2.0], {"a": 1}]}, [0.0, False, True, "a", [1.0, 2], [2, 1], {"a": 1.0}, {"a": 1, "b": 2}]),
    ({"minimum": 1, "exclusiveMaximum": 3.5}, [1, 0.999, 3.5, 3.4, "x", 18446744073709551615, -5]),
    ({"maximum": 9007199254740993}, [9007199254740993, 9007199254740994, 9007199254740992.0, 1e16]),
    ({"multipleOf": 3}, [9, 10, 9.0, 9.5, -3, 0, 1e20]),
    ({"minLength": 2, "maxLength": 3}, ["a", "ab", "日本語", "日本語!", "é", 5]),
    ({"pattern": "^[a-z]+[0-9]?$"}, ["abc", "abc1", "1abc", "", "ABC"]),
    ({"pattern": "b"}, ["abc", "ac"]),
    ({"items": {"type": "integer"}, "minItems": 1, "maxItems": 3}, [[1], [], [1, 2, 3, 4], [1, "2"], "no array"]),
    ({"prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False}, [["a", 1], ["a"], ["a", 1, 2], [1, 1], []]),
    ({"contains": {"const": 7}, "minContains": 1, "maxContains": 2}, [[7], [7, 7], [7, 7, 7], [1], []]),
    ({"contains": {"type": "null"}, "minContains": 0}, [[], [1], [None]]),
    ({"uniqueItems": True}, [[1, 2], [1, 1.0], [1, True], [[1], [1]], [{"a": 1, "b": 2}, {"b": 2, "a": 1}], ["a", "A"]]),
    ({"properties": {"a": {"type": "integer"}}, "patternProperties": {"^x": {"type": "string"}}, "additionalProperties": {"type": "null"}},
     [{"a": 1}, {"a": "1"}, {"xy": "s"}, {"xy": 1}, {"b": None}, {"b": 1}, {}, []]),
    ({"required": ["a"], "dependentRequired": {"b": ["c"]}, "minProperties": 1, "maxProperties": 3, "propertyNames": {"maxLength": 2}},
     [{"a": 1}, {}, {"a": 1, "b": 1}, {"a": 1, "b": 1, "c": 1}, {"a": 1, "abc": 1}, {"a": 1, "d": 1, "e": 1, "f": 1}]),
    ({"anyOf": [{"type": "string"}, {"minimum": 5}], "not": {"const": "no"}, "allOf": [{"maxLength": 3}]}, ["yes", "no", "long", 5, 4, None]),
    ({"oneOf": [{"multipleOf": 2}, {"multipleOf": 3}], "if": {"minimum": 100}, "then": {"maximum": 200}, "else": {"minimum": 0}},
     [2, 3, 6, 5, 104, 202, -2, "x"]),
    (TREE, [{"value": 1}, {"value": 1, "children": [{"value": 2, "children": []}]}, {"value": 1, "children": [{"value": "2"}]}, {"children": []}, {"value": 1, "x": 0}]),
]

cases = []
for schema, values in SCHEMAS:
    validator = Draft202012Validator(schema)
    cases.append({"schema": schema, "values": [{"value": value, "accepted": validator.is_valid(value)} for value in values]})
print(json.dumps({"cases": cases}, indent=1))
