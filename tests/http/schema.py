"""Checks values against the JSON schemas of openapi.yaml.

Just the words that the document uses; an unknown word is an error, so that none is
silently ignored.
"""

import os
import re

import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

TYPES = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
}
NOTES = {"description", "default", "contentMediaType", "properties", "additionalProperties"}


class Mismatch(Exception):
    """A value does not fit; says where and why."""


def load():
    with open(os.path.join(ROOT, "openapi.yaml"), encoding="utf-8") as file:
        return yaml.safe_load(file)


def resolve(document, node):
    while isinstance(node, dict) and "$ref" in node:
        found = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def one_of(document, schemas, value, where):
    reasons = []
    for schema in schemas:
        try:
            check(document, schema, value, where)
        except Mismatch as mismatch:
            reasons.append(str(mismatch))
    if len(schemas) - len(reasons) != 1:
        raise Mismatch(f"{where}: fits {len(schemas) - len(reasons)} of oneOf: {reasons}")


def fits(document, schema, value, where):
    try:
        check(document, schema, value, where)
    except Mismatch:
        return False
    return True


def check_object(document, schema, value, where):
    properties = schema.get("properties", {})
    for name, item in value.items():
        if name in properties:
            check(document, properties[name], item, f"{where}/{name}")
        elif schema.get("additionalProperties", True) is False:
            raise Mismatch(f"{where}: {name} is not in the schema")
        elif isinstance(schema.get("additionalProperties"), dict):
            check(document, schema["additionalProperties"], item, f"{where}/{name}")


def check(document, schema, value, where=""):
    """Raises Mismatch when `value` does not fit `schema`."""
    schema = resolve(document, schema)
    rules = {
        "type": lambda types: any(
            TYPES[name](value) for name in ([types] if isinstance(types, str) else types)
        ),
        "enum": lambda values: value in values,
        "const": lambda expected: value == expected,
        "required": lambda names: all(name in value for name in names),
        "minimum": lambda least: value >= least,
        "maximum": lambda most: value <= most,
        "minItems": lambda least: len(value) >= least,
        "maxItems": lambda most: len(value) <= most,
        "minLength": lambda least: len(value) >= least,
        "pattern": lambda pattern: re.search(pattern, value) is not None,
    }
    for word, rule in schema.items():
        if word == "oneOf":
            one_of(document, rule, value, where)
        elif word == "anyOf":
            if not any(fits(document, schema, value, where) for schema in rule):
                raise Mismatch(f"{where or '/'}: {str(value)[:100]} fits none of anyOf: {rule}")
        elif word == "items":
            for index, item in enumerate(value if isinstance(value, list) else []):
                check(document, rule, item, f"{where}/{index}")
        elif word in rules:
            if not rules[word](rule):
                raise Mismatch(f"{where or '/'}: {str(value)[:100]} breaks {word}: {rule}")
        elif word not in NOTES:
            raise ValueError(f"schema.py does not know {word}")
    if isinstance(value, dict):
        check_object(document, schema, value, where)
