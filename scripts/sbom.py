"""Prints the bill of materials of the program and of the filter's module: CycloneDX 1.5, as JSON.

    python3 scripts/sbom.py > pointsman.cdx.json

Crates that are linked into either are `required`; those that only take part in compiling (build
scripts, procedural macros, and what these need) are `excluded`, CycloneDX's word for what is not in
the product. Source in other languages that a crate carries (SQLite, usearch) is part of that crate.

Not cargo-cyclonedx: it takes minutes to compile, numbers its bills at random, and writes one for
each crate of the workspace.
"""

import json
import re
import subprocess
import sys
import tomllib
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

ROOT = Path(__file__).resolve().parent.parent

# What is built together, as the Makefile does it: its crates share one set of features each.
PROGRAM = ["--workspace", "--exclude", "pointsman-filter", "--target", "x86_64-unknown-linux-gnu"]
MODULE = ["--package", "pointsman-filter", "--target", "wasm32-wasip1"]
LINKED = "normal,no-proc-macro"
COMPILED = "normal,build"


class Crate(NamedTuple):
    name: str
    version: str
    licence: str
    repository: str

    @property
    def ref(self) -> str:
        """Unique: deny.toml allows one registry only."""
        return f"{self.name}@{self.version}"


def graph(selection: list[str], edges: str, root: str) -> dict[Crate, set[Crate]]:
    """A crate and everything below it, each with what it depends on directly."""
    command = ["cargo", "tree", "--locked", *selection, "--edges", edges]
    command += ["--prefix", "depth", "--format", "\t{p}\t{l}\t{r}\t"]
    lines = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True).stdout
    below: dict[Crate, set[Crate]] = {}
    path: list[Crate] = []
    # An empty line is between one root and the next.
    for line in filter(None, lines.splitlines()):
        depth, identity, licence, repository, _ = line.split("\t")
        name, version = identity.split()[:2]
        # An older manifest may have a slash, which SPDX does not know.
        licence = re.sub(r"\s*/\s*", " OR ", licence)
        crate = Crate(name, version.removeprefix("v"), licence, repository)
        path[int(depth) :] = [crate]
        below.setdefault(crate, set())
        if int(depth) > 0:
            below[path[-2]].add(crate)
    waiting = [crate for crate in below if crate.name == root]
    found: dict[Crate, set[Crate]] = {}
    while waiting:
        crate = waiting.pop()
        if crate not in found:
            found[crate] = below[crate]
            waiting.extend(below[crate])
    return found


def component(crate: Crate, checksum: str | None, required: bool) -> dict:
    described = {
        "type": "library",
        "bom-ref": crate.ref,
        "name": crate.name,
        "version": crate.version,
        "scope": "required" if required else "excluded",
        "licenses": [{"expression": crate.licence}],
    }
    # The crates of this workspace are in no registry, so they have neither.
    if checksum:
        described["hashes"] = [{"alg": "SHA-256", "content": checksum}]
        described["purl"] = f"pkg:cargo/{crate.name}@{quote(crate.version, safe='')}"
    if crate.repository:
        described["externalReferences"] = [{"type": "vcs", "url": crate.repository}]
    return described


def bill_of_materials(epoch: int) -> dict:
    """The bill, dated by seconds since 1970. The same Cargo.lock and date give the same bill."""
    linked, edges = set(), {}
    for selection, root in ((PROGRAM, "pointsman"), (MODULE, "pointsman-filter")):
        linked |= graph(selection, LINKED, root).keys()
        for crate, below in graph(selection, COMPILED, root).items():
            edges.setdefault(crate, set()).update(below)
    program, module = (
        next(crate for crate in edges if crate.name == name)
        for name in ("pointsman", "pointsman-filter")
    )
    # A released program has the module inside.
    edges[program].add(module)

    locked = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    checksums = {
        (package["name"], package["version"]): package.get("checksum") for package in locked
    }

    def described(crate: Crate) -> dict:
        return component(crate, checksums[crate.name, crate.version], crate in linked)

    contents = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "tools": {"components": [{"type": "application", "name": "scripts/sbom.py"}]},
            "component": described(program) | {"type": "application"},
        },
        "components": [described(crate) for crate in sorted(edges) if crate != program],
        "dependencies": [
            {"ref": crate.ref, "dependsOn": sorted(it.ref for it in edges[crate])}
            for crate in sorted(edges)
        ],
    }
    # A bill has a number of its own; this one follows from what the bill says.
    number = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(contents, sort_keys=True))
    return contents | {"serialNumber": number.urn}


def main() -> None:
    if len(sys.argv) != 1:
        sys.exit("usage: python3 scripts/sbom.py")
    print(json.dumps(bill_of_materials(int(datetime.now().timestamp())), indent=1))


if __name__ == "__main__":
    main()
