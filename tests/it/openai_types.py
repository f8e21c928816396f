"""Holds answers and events against the official package's own types, to the letter.

Run by tools.rs with a file as its argument: one JSON object a line, with `case`, which names it, and `body`, the answer
or event. Its client takes nearly everything; here no type is bent and a field that the types don't know is a fault.
"""

import collections
import json
import sys

from openai import types

EVENTS = {
    "image_generation.partial_image": types.ImageGenPartialImageEvent,
    "image_generation.completed": types.ImageGenCompletedEvent,
    "image_edit.partial_image": types.ImageEditPartialImageEvent,
    "image_edit.completed": types.ImageEditCompletedEvent,
}

# What Easel adds on purpose: an event tells the prompt as the vendor rewrote it, as an answer's pictures do.
KNOWN_EXTRAS = {"image_generation.completed": {"revised_prompt"}, "image_edit.completed": {"revised_prompt"}}

# Easel sends no usage in an event, because not every vendor counts; the types insist on one, so it is filled in here.
USAGE = {
    "input_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "output_tokens": 0,
    "total_tokens": 0,
}


def extras(model):
    """Every field, at any depth, that the type does not have."""
    found = set(model.model_extra or {})
    for value in model.__dict__.values():
        for inner in value if isinstance(value, list) else [value]:
            if hasattr(inner, "model_extra"):
                found |= extras(inner)
    return found


faults = []
seen = collections.Counter()
for line in open(sys.argv[1], encoding="utf-8"):
    row = json.loads(line)
    case, body = row["case"], row["body"]
    kind = EVENTS.get(body["type"]) if "type" in body else types.ImagesResponse
    if kind is None:
        faults.append(f"{case}: no event is a {body['type']}")
        continue
    if body.get("type", "").endswith(".completed"):
        assert "usage" not in body, f"{case}: there is a usage now, take the stand-in away"
        body["usage"] = USAGE
    try:
        model = kind.model_validate_json(json.dumps(body), strict=True)
    except ValueError as error:
        faults.append(f"{case}: {error}")
        continue
    strange = extras(model) - KNOWN_EXTRAS.get(body.get("type"), set())
    if strange:
        faults.append(f"{case}: {kind.__name__} has no {sorted(strange)}")
    seen[kind.__name__] += 1

if faults:
    sys.exit("\n".join(faults))
print(json.dumps(seen))
