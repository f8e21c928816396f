"""Judges configs as an editor does, and as a tool of YAML 1.1 hands them on. Reads {schema, documents: [text]} on stdin; prints a list
of {error, dumped}: what the schema says against the text (null: nothing), and what PyYAML writes after it has read it."""

import json
import re
import sys

import jsonschema
import yaml


class Core(yaml.SafeLoader):
    """YAML 1.2's core schema, as editors read."""

    yaml_implicit_resolvers = {}

    def construct_int(self, node):
        text = node.value
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        return int(text[2:] if base != 10 else text, base)

    def construct_float(self, node):
        return float(node.value.lower().replace(".inf", "inf").replace(".nan", "nan"))


NAMES = {
    "null": (r"~|null|Null|NULL|", "~nN\0"),
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    "float": (r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+.0123456789"),
    "merge": (r"<<", "<"),
}
for name, (pattern, first) in NAMES.items():
    first = [None if c == "\0" else c for c in first] + ([""] if name == "null" else [])
    Core.add_implicit_resolver(f"tag:yaml.org,2002:{name}", re.compile(f"^(?:{pattern})$"), first)
Core.add_constructor("tag:yaml.org,2002:int", Core.construct_int)
Core.add_constructor("tag:yaml.org,2002:float", Core.construct_float)

asked = json.load(sys.stdin)
jsonschema.Draft7Validator.check_schema(asked["schema"])
validator = jsonschema.Draft7Validator(asked["schema"])


def judged(text):
    try:
        document = yaml.load(text, Core)
    except (yaml.YAMLError, ValueError) as error:
        return {"unread": str(error)}
    error = next(validator.iter_errors(document), None)
    told = error and f"{'/'.join(str(part) for part in error.absolute_path)}: {error.message[:300]}"
    dumped = None
    if asked.get("dump"):
        dumped = yaml.safe_dump(yaml.safe_load(text), sort_keys=False, allow_unicode=True)
    return {"error": told, "dumped": dumped}


json.dump([judged(text) for text in asked["documents"]], sys.stdout)
