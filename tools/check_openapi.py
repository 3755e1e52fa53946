"""check_openapi.py - holds openapi.yaml and the table in api/routes.c together.

Every row has its operation and every operation its row, with the same path and
method; every operation documents success, a wrong method and what else it can answer;
every $ref leads somewhere and every component is used. Prints what is wrong; exits 1.
"""

import os
import re
import sys

import yaml

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")

# What an operation must document: all, those that take a body, those of them that give it
# to a model, those that loading and draining refuse.
ALWAYS = {"200", "405", "413"}
WITH_BODY = {"400", "404", "411", "415", "500", "503"}
RUNS_A_MODEL = {"422", "504"}
WITHOUT_A_MODEL = {"putCollection", "findDuplicates", "restoreCollection"}
NOT_ALWAYS = {"503"}


def read_routes():
    """The rows of the table: operationId -> (method, path, takes a body, always)."""
    with open(os.path.join(ROOT, "api", "routes.c"), encoding="utf-8") as file:
        text = file.read()
    row = re.compile(
        r'\{HTTP_(\w+), "([^"]+)", "(\w+)", ([^,]+), ([^,]+),\s*(?:NULL|"[^"]*"),\s*\w+\}'
    )
    table = text[text.index("routes[] = {") : text.index("routes_count")]
    routes = {
        name: (method.lower(), path, accepts.strip() != "0", "ROUTE_ALWAYS" in flags)
        for method, path, name, accepts, flags in row.findall(table)
    }
    if len(routes) != table.count("HTTP_"):
        sys.exit("check_openapi.py: api/routes.c has a row that it cannot read")
    return routes


def find_refs(node):
    """Every $ref below a node."""
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from find_refs(value)
    elif isinstance(node, list):
        for value in node:
            yield from find_refs(value)


def check_operations(document, routes):
    operations = {
        operation["operationId"]: (method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    }
    for name in sorted(set(routes) ^ set(operations)):
        where = "openapi.yaml" if name in routes else "api/routes.c"
        yield f"{name} is missing in {where}"
    for name in sorted(set(routes) & set(operations)):
        method, path, takes_body, always = routes[name]
        if operations[name][:2] != (method, path):
            yield f"{name} is {method} {path} in api/routes.c, not {operations[name][:2]}"
        operation = operations[name][2]
        if takes_body != ("requestBody" in operation):
            yield f"{name}: api/routes.c and openapi.yaml disagree about a body"
        expected = ALWAYS | (WITH_BODY if takes_body else set())
        expected |= RUNS_A_MODEL if takes_body and name not in WITHOUT_A_MODEL else set()
        expected |= set() if always else NOT_ALWAYS
        for status in sorted(expected - set(operation["responses"])):
            yield f"{name} does not document {status}"


def check_refs(document):
    components = {
        f"#/components/{kind}/{name}"
        for kind, items in document["components"].items()
        for name in items
    }
    used = set(find_refs(document))
    for ref in sorted(used - components):
        yield f"{ref} leads nowhere"
    for ref in sorted(components - used):
        yield f"{ref} is not used"


def main():
    with open(os.path.join(ROOT, "openapi.yaml"), encoding="utf-8") as file:
        document = yaml.safe_load(file)
    problems = [*check_operations(document, read_routes()), *check_refs(document)]
    for problem in problems:
        print(problem)
    return 1 if problems else 0


sys.exit(main())
