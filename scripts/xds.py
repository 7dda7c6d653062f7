#!/usr/bin/env python3
"""Writes deploy/xds/ from envoy/envoy.yaml: the same deployment as files that Envoy watches.

    scripts/xds.py           # write
    scripts/xds.py --check   # only say whether the files are up to date

Works on lines, so that comments stay with what they explain.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "envoy/envoy.yaml"
TARGET = ROOT / "deploy/xds"
API = "type.googleapis.com/envoy"

NOTE = """\
# Made from envoy/envoy.yaml by scripts/xds.py: edit there, then `make xds`.
# {about}
"""

BOOTSTRAP = """\
#
#   envoy -c deploy/xds/bootstrap.yaml     # from the repository's root

node: {{id: pointsman, cluster: pointsman}}

{admin}
{extensions}
{overload}
{runtime}
dynamic_resources:
  lds_config: {{resource_api_version: V3, path_config_source: {{path: deploy/xds/listener.yaml}}}}
  cds_config: {{resource_api_version: V3, path_config_source: {{path: deploy/xds/clusters.yaml}}}}

{stats}"""

DISCOVERY = """\
- name: pointsman
  config_discovery:
    # Requests wait for the first configuration; later ones replace it between two requests.
    config_source:
      resource_api_version: V3
      path_config_source: {path: deploy/xds/filter.yaml}
    type_urls: [type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm]
"""


def main():
    check = "--check" in sys.argv[1:]
    stale = []
    for name, text in files().items():
        path = TARGET / name
        if path.exists() and path.read_text() == text:
            continue
        stale.append(name)
        if not check:
            path.write_text(text)
    if check and stale:
        print(f"error: out of date in deploy/xds: {', '.join(stale)}", file=sys.stderr)
        print("hint: run `make xds`", file=sys.stderr)
        return 1
    return 0


def files():
    lines = SOURCE.read_text().splitlines(keepends=True)
    admin = block(lines, "admin:")
    extensions = block(lines, "bootstrap_extensions:")
    listeners = block(lines, "  listeners:")[1:]
    clusters = block(lines, "  clusters:")[1:]
    stats = block(lines, "stats_config:")
    first = listeners.index(next(line for line in listeners if line.strip() == "- name: pointsman"))
    margin = indentation(listeners[first])
    last = next(
        number
        for number, line in enumerate(listeners[first + 1 :], first + 1)
        if line.strip() and indentation(line) <= margin
    )
    pointsman = dedented(listeners[first:last], margin)
    listeners[first:last] = indented(DISCOVERY.splitlines(keepends=True), margin)
    return {
        "bootstrap.yaml": note("The start: where the other files are. Only this one needs a restart.")
        + BOOTSTRAP.format(
            admin="".join(admin),
            extensions="".join(extensions),
            overload="".join(block(lines, "overload_manager:")),
            runtime="".join(block(lines, "layered_runtime:")),
            stats="".join(stats),
        ),
        "listener.yaml": note("Listener and routes (LDS).")
        + resources(dedented(listeners, 2), "config.listener.v3.Listener"),
        "filter.yaml": note("The filter and its configuration (ECDS).")
        + resources(pointsman, "config.core.v3.TypedExtensionConfig"),
        "clusters.yaml": note("The models behind their caches (CDS).")
        + resources(dedented(clusters, 2), "config.cluster.v3.Cluster"),
    }


def note(about):
    return NOTE.format(about=about)


def block(lines, start):
    """The line `start` and what belongs to it, without comments of what follows."""
    first = lines.index(start + "\n")
    margin = indentation(lines[first])
    last = first + 1
    while last < len(lines):
        line = lines[last]
        item = margin == indentation(line) and line.lstrip().startswith(("- ", "#"))
        if line.strip() and indentation(line) <= margin and not item:
            break
        last += 1
    while not lines[last - 1].strip() or lines[last - 1].lstrip().startswith("#"):
        last -= 1
    return lines[first:last]


def resources(items, kind):
    """A discovery response: each list item gets its type."""
    text = "\nresources:\n"
    for line in items:
        if line.startswith("- "):
            text += f'- "@type": {API}.{kind}\n  {line[2:]}'
        else:
            text += line
    return text


def indentation(line):
    return len(line) - len(line.lstrip(" "))


def dedented(lines, by):
    return [line[by:] if line.strip() else line for line in lines]


def indented(lines, by):
    return [" " * by + line for line in lines]


if __name__ == "__main__":
    sys.exit(main())
