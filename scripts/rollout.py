#!/usr/bin/env python3
"""Hands the filter's configuration to a running Envoy, without a restart or a new .wasm.

    python3 scripts/rollout.py DIR                       # once: what to start Envoy with
    envoy -c DIR/envoy.yaml
    python3 scripts/rollout.py DIR --config filter.json  # whenever the configuration changes

DIR/envoy.yaml is envoy/envoy.yaml, but for one thing: the filter's part is read from
DIR/pointsman.yaml by Envoy's extension config discovery. Envoy watches that file; replacing it swaps
the filter for new requests, and open connections stay. A configuration that the filter refuses is
counted in `extension_config_discovery.http_filter.pointsman.config_reload` and `...config_fail`, and
the old one stays in place.
"""

import argparse
import json
import os
import sys

TYPE = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"
EXTENSION = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"


def position(lines, start, wanted):
    for number in range(start, len(lines)):
        if lines[number].strip() == wanted:
            return number
    raise SystemExit(f"error: envoy/envoy.yaml has no line {wanted!r}")


def split(lines, folder):
    """envoy.yaml without the filter's part, and that part by itself."""
    first = position(lines, 0, "- name: pointsman") + 1
    last = position(lines, first, "- name: envoy.filters.http.router")
    indent = len(lines[first]) - len(lines[first].lstrip())
    margin = " " * indent
    discovery = [
        f"{margin}config_discovery:",
        f"{margin}  config_source:",
        f"{margin}    resource_api_version: V3",
        f"{margin}    path_config_source: {{path: {json.dumps(os.path.join(folder, 'pointsman.yaml'))}}}",
        f"{margin}  type_urls: [{TYPE}]",
    ]
    part = [line[indent - 2:] for line in lines[first:last]]
    head = ["resources:", f'- "@type": {EXTENSION}', "  name: pointsman"]
    # Envoy asks for a name of its own before it discovers anything.
    node = ["node: {id: pointsman, cluster: pointsman}"]
    return node + lines[:first] + discovery + lines[last:], head + part


def with_configuration(part, text):
    """The filter's part with another configuration: JSON text is YAML text too."""
    value = position(part, 0, "value: |")
    indent = len(part[value]) - len(part[value].lstrip())
    rest = value + 1
    while rest < len(part) and len(part[rest]) - len(part[rest].lstrip()) > indent:
        rest += 1
    return part[:value] + [" " * indent + "value: " + json.dumps(text)] + part[rest:]


def replace(path, lines):
    """Renames a complete file into place: Envoy sees the old one or the new one."""
    with open(path + ".partial", "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    os.replace(path + ".partial", path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", metavar="DIR", help="where envoy.yaml and pointsman.yaml go")
    parser.add_argument("--config", metavar="FILE", help="the filter's configuration, JSON "
                        "(default: that of envoy/envoy.yaml)")
    arguments = parser.parse_args()
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
    with open(os.path.join(root, "envoy/envoy.yaml"), encoding="utf-8") as file:
        lines = file.read().splitlines()
    folder = os.path.abspath(arguments.folder)
    os.makedirs(folder, exist_ok=True)
    whole, part = split(lines, folder)
    if arguments.config:
        try:
            with open(arguments.config, encoding="utf-8") as file:
                text = json.dumps(json.load(file))
        except (OSError, ValueError) as error:
            print(f"error: {arguments.config}: {error}", file=sys.stderr)
            return 2
        part = with_configuration(part, text)
    replace(os.path.join(folder, "pointsman.yaml"), part)
    if not os.path.exists(os.path.join(folder, "envoy.yaml")):
        replace(os.path.join(folder, "envoy.yaml"), whole)
    return 0


if __name__ == "__main__":
    sys.exit(main())
