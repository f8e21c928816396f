"""Holds a dashboard to Grafana's own types: dashboard.py FILE.

Whatever the types do not know is lost when they read it. Says what, and ends with 1.
"""

import json
import sys

from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard


def lost(written, read, path=""):
    if isinstance(written, dict) and isinstance(read, dict):
        for key, value in written.items():
            if key not in read:
                # What is nothing need not be written again.
                if value not in (None, "", [], {}, False):
                    yield f"{path}.{key}"
            else:
                yield from lost(value, read[key], f"{path}.{key}")
    elif isinstance(written, list) and isinstance(read, list):
        if len(written) != len(read):
            yield f"{path}: {len(written)} became {len(read)}"
        for index, (one, other) in enumerate(zip(written, read)):
            yield from lost(one, other, f"{path}[{index}]")
    elif written != read:
        yield f"{path}: {written!r} became {read!r}"


def main():
    plugins.register_default_plugins()
    written = json.load(open(sys.argv[1]))
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(written)))
    wrong = list(lost(written, read))
    if wrong:
        sys.exit("\n".join(wrong))


main()
