#!/usr/bin/env python3
"""Hands the filter's configuration to a running Envoy, without a restart or a new .wasm.

    python3 scripts/rollout.py DIR                       # once: what to start Envoy with
    envoy -c DIR/bootstrap.yaml
    python3 scripts/rollout.py DIR --config filter.json  # whenever the configuration changes

DIR is a copy of deploy/xds: Envoy watches its files, and replacing filter.yaml swaps the filter for
new requests, while open connections stay. A configuration that the filter refuses is counted in
`extension_config_discovery.http_filter.pointsman.config_fail`, and the old one stays in place.
"""

import argparse
import json
import os
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "deploy/xds"


def with_configuration(text, configuration):
    """filter.yaml with another configuration: a JSON string is a YAML string, too."""
    lines = text.splitlines()
    margin = lambda line: len(line) - len(line.lstrip())
    first = next(n for n, line in enumerate(lines) if line.strip() == "value: |")
    last = first + 1
    while last < len(lines) and margin(lines[last]) > margin(lines[first]):
        last += 1
    value = " " * margin(lines[first]) + "value: " + json.dumps(configuration)
    return "\n".join([*lines[:first], value, *lines[last:]]) + "\n"


def replace(path, text):
    """Renames a complete file into place: Envoy sees the old one or the new one."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", metavar="DIR", type=Path, help="the files that Envoy watches")
    parser.add_argument("--config", metavar="FILE", type=Path, help="the filter's configuration, "
                        "JSON (default: that of envoy/envoy.yaml)")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    configuration = None
    if arguments.config:
        try:
            configuration = json.dumps(json.loads(arguments.config.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            print(f"error: {arguments.config}: {error}", file=sys.stderr)
            return 2
    for source in sorted(SOURCE.glob("*.yaml")):
        text = source.read_text(encoding="utf-8").replace("deploy/xds", str(folder))
        if source.name == "filter.yaml":
            if configuration is not None:
                text = with_configuration(text, configuration)
            replace(folder / source.name, text)
        elif not (folder / source.name).exists():
            replace(folder / source.name, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
