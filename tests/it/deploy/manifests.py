"""Kubernetes manifests against the schemas of its API, and Helm charts rendered by Helm itself.

    manifests.py files FILE...           each document of the files
    manifests.py chart FOLDER VALUES     what the chart makes with these values (JSON), linted too

Prints the documents as one JSON list, or says what is wrong and ends with 1.
"""

import json
import sys

import kubernetes_validate
import yaml

# The first version with native sidecars for everybody, and the newest that the package knows.
VERSIONS = ["1.29", kubernetes_validate.latest_version()]


def wrong_keys(written, read, path=""):
    """Keys that were written and that the model did not read."""
    if isinstance(written, dict) and isinstance(read, dict):
        for key, value in written.items():
            if key not in read:
                yield f"{path}.{key}"
            else:
                yield from wrong_keys(value, read[key], f"{path}.{key}")
    elif isinstance(written, list) and isinstance(read, list):
        for index, (one, other) in enumerate(zip(written, read)):
            yield from wrong_keys(one, other, f"{path}[{index}]")


def check(document):
    if document["apiVersion"].startswith("kustomize."):
        return
    if document["apiVersion"].startswith("monitoring.coreos.com/"):
        # Takes seconds to load.
        from cloudcoil.models.prometheus_operator import v1

        read = getattr(v1, document["kind"]).model_validate(document)
        unknown = list(wrong_keys(document, read.model_dump(by_alias=True, exclude_none=True)))
        if unknown:
            raise ValueError(f"unknown: {', '.join(unknown)}")
        return
    for version in VERSIONS:
        kubernetes_validate.validate(document, version, strict=True)


def rendered(folder, values):
    from helm_python import chart

    report = chart.lint(folder, values, strict=True)
    # 1 is a remark, such as that the chart has no icon.
    problems = [message for message in report["messages"] if message["severity"] > 1] + report["errors"]
    if problems:
        raise ValueError(f"lint: {problems}")
    with chart.Chart.load(folder) as loaded:
        loaded.validate_schema(values)
        made = loaded.render(values, name="easel", namespace="pictures")
    return {path: text for path, text in made.items() if not path.endswith("NOTES.txt")}


def main():
    kind, arguments = sys.argv[1], sys.argv[2:]
    if kind == "files":
        texts = {path: open(path).read() for path in arguments}
    else:
        texts = rendered(arguments[0], json.loads(arguments[1]))
    documents = []
    for path, text in texts.items():
        for document in yaml.safe_load_all(text):
            if document is None:
                continue
            try:
                check(document)
            except Exception as error:
                sys.exit(f"{path}: {document.get('kind')}: {error}")
            documents.append(document)
    print(json.dumps(documents))


main()
