"""Writes a release into dist/release/VERSION/ from what is built; `make dist` builds it first.

    python3 scripts/dist.py TARGET=PROGRAM... [--out DIRECTORY]

Each PROGRAM is a stripped `pointsman` for the Rust target TARGET, with dist/pointsman.wasm inside;
one of them must run here. The same inputs give the same bytes. Every date is SOURCE_DATE_EPOCH, or
that of the last commit.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import sbom

ROOT = Path(__file__).resolve().parent.parent
MODULE = ROOT / "dist/pointsman.wasm"
COMPLETIONS = {"bash": "pointsman.bash", "zsh": "_pointsman", "fish": "pointsman.fish"}

OCI = "application/vnd.oci.image"
# Both variants are those of https://github.com/solo-io/wasm/tree/master/spec, as Istio
# (pkg/wasm/imagefetcher.go) and Envoy Gateway (internal/wasm/imagefetcher.go) read them.
WASM_CONFIG = "application/vnd.module.wasm.config.v1+json"
WASM_LAYER = "application/vnd.module.wasm.content.layer.v1+wasm"
RUNTIME_CONFIG = {
    "type": "envoy_proxy",
    "abiVersions": ["v0.2.1"],
    "config": {"root_ids": ["pointsman"]},
}


class Refused(Exception):
    """What is built does not make a release."""


def epoch() -> int:
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return int(given)
    command = ["git", "log", "-1", "--format=%ct"]
    return int(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)


def to_json(value: dict) -> bytes:
    return json.dumps(value, indent=1).encode() + b"\n"


def tar(files: dict[str, bytes], executable: set[str], date: int) -> bytes:
    """An archive that names no user of this machine and no time but the date."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(files[name]), date
            entry.mode = 0o755 if name in executable else 0o644
            archive.addfile(entry, io.BytesIO(files[name]))
    return out.getvalue()


def compressed(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def extras(programs: list[Path], version: str) -> dict[str, bytes]:
    """Completions and manual pages, from the first program that runs on this machine."""
    with tempfile.TemporaryDirectory() as folder:
        # Artefacts that went through an archive of GitHub's have lost their mode.
        runnable = Path(folder) / "pointsman"
        for program in programs:
            shutil.copyfile(program, runnable)
            runnable.chmod(0o755)
            try:
                said = subprocess.run([runnable, "--version"], capture_output=True, text=True)
            except OSError:
                continue
            if said.returncode == 0:
                break
        else:
            raise Refused("none of the programs runs on this machine")
        if said.stdout.split() != ["pointsman", version]:
            raise Refused(f"{program}: is {said.stdout.strip()}, and Cargo.toml says {version}")

        found = {}
        for shell, name in COMPLETIONS.items():
            script = subprocess.run(
                [runnable, "completions", shell], stdout=subprocess.PIPE, check=True
            )
            found[f"completions/{name}"] = script.stdout
        pages = Path(folder) / "man"
        subprocess.run([runnable, "man", "--out", pages], stdout=subprocess.DEVNULL, check=True)
        for page in pages.iterdir():
            found[f"man/man1/{page.name}"] = page.read_bytes()
        return found


def archive(name: str, program: bytes, files: dict[str, bytes], date: int) -> bytes:
    """What is unpacked and run: one folder, named as the archive."""
    inside = {f"{name}/{path}": data for path, data in files.items()}
    inside[f"{name}/pointsman"] = program
    return compressed(tar(inside, {f"{name}/pointsman"}, date))


class Layout:
    """An OCI image layout (image-spec 1.1), in which each image has a tag."""

    def __init__(self, annotations: dict[str, str]):
        self.annotations = annotations
        self.files = {"oci-layout": to_json({"imageLayoutVersion": "1.0.0"})}
        self.manifests = []

    def blob(self, media_type: str, data: bytes) -> dict:
        digest = hashlib.sha256(data).hexdigest()
        self.files[f"blobs/sha256/{digest}"] = data
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    def image(self, tag: str, manifest: dict, annotations: dict[str, str]) -> None:
        media_type = f"{OCI}.manifest.v1+json"
        whole = {"schemaVersion": 2, "mediaType": media_type} | manifest
        whole["annotations"] = self.annotations | annotations
        descriptor = self.blob(media_type, to_json(whole))
        self.manifests.append(
            descriptor | {"annotations": {"org.opencontainers.image.ref.name": tag}}
        )

    def tar(self, date: int) -> bytes:
        index = {
            "schemaVersion": 2,
            "mediaType": f"{OCI}.index.v1+json",
            "manifests": self.manifests,
        }
        return tar(self.files | {"index.json": to_json(index)}, set(), date)


def titled(descriptor: dict, title: str) -> dict:
    return descriptor | {"annotations": {"org.opencontainers.image.title": title}}


def images(module: bytes, version: str, date: int) -> bytes:
    """The module as an image, in both variants of the specification.

    `VERSION` is the *compat* variant, which container engines know, too: one layer has plugin.wasm.
    `VERSION-oci` is the *oci* variant, whose second layer is the module itself.
    """
    created = datetime.fromtimestamp(date, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    layout = Layout(
        {
            "org.opencontainers.image.created": created,
            "org.opencontainers.image.licenses": "Apache-2.0",
            "org.opencontainers.image.title": "pointsman.wasm",
            "org.opencontainers.image.version": version,
        }
    )

    runtime_config = to_json(RUNTIME_CONFIG)
    unpacked = tar({"plugin.wasm": module, "runtime-config.json": runtime_config}, set(), date)
    config = {
        "created": created,
        # A container engine refuses other systems than its own. Envoy's control planes do not look.
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {
            "type": "layers",
            "diff_ids": [f"sha256:{hashlib.sha256(unpacked).hexdigest()}"],
        },
    }
    compat = {
        "config": layout.blob(f"{OCI}.config.v1+json", to_json(config)),
        "layers": [layout.blob(f"{OCI}.layer.v1.tar+gzip", compressed(unpacked))],
    }
    layout.image(version, compat, {"module.wasm.image/variant": "compat"})

    oci = {
        "artifactType": WASM_CONFIG,
        "config": layout.blob("application/vnd.oci.empty.v1+json", b"{}"),
        # Both readers want two layers exactly, and the module's media type on one of them.
        "layers": [
            titled(layout.blob(WASM_CONFIG, runtime_config), "runtime-config.json"),
            titled(layout.blob(WASM_LAYER, module), "plugin.wasm"),
        ],
    }
    layout.image(f"{version}-oci", oci, {})
    return layout.tar(date)


def release(programs: dict[str, Path]) -> tuple[str, dict[str, bytes]]:
    """The version, and the files of its release by name."""
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    date = epoch()
    module = MODULE.read_bytes()
    shared = {name: (ROOT / name).read_bytes() for name in ("LICENSE", "README.md")}
    shared |= extras(list(programs.values()), version)
    files = {
        f"pointsman-{version}.wasm": module,
        f"pointsman-{version}.oci.tar": images(module, version, date),
        f"pointsman-{version}.cdx.json": to_json(sbom.bill_of_materials(date)),
    }
    for target, path in programs.items():
        program = path.read_bytes()
        if module not in program:
            raise Refused(
                f"{path}: does not have {MODULE} inside: build it with --features pointsman/bundled"
            )
        name = f"pointsman-{version}-{target}"
        files[f"{name}.tar.gz"] = archive(name, program, shared, date)
    sums = [f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)]
    return version, files | {"SHA256SUMS": "".join(sums).encode()}


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a release from what is built")
    parser.add_argument(
        "programs", metavar="TARGET=PROGRAM", nargs="+", help="stripped program for a Rust target"
    )
    parser.add_argument(
        "--out", type=Path, help="new directory for the files (default: dist/release/VERSION)"
    )
    args = parser.parse_args()
    programs = {}
    for given in args.programs:
        target, separator, path = given.partition("=")
        if not separator:
            parser.error(f"{given}: is not TARGET=PROGRAM")
        programs[target] = Path(path)
    try:
        version, files = release(programs)
    except (OSError, subprocess.CalledProcessError, Refused) as error:
        sys.exit(f"error: {error}")
    out = args.out
    if out is None:
        out = ROOT / "dist/release" / version
        # What an earlier run left there would be uploaded with the rest.
        shutil.rmtree(out, ignore_errors=True)
    try:
        out.mkdir(parents=True)
        for name, data in sorted(files.items()):
            (out / name).write_bytes(data)
            print(f"{len(data):>12,}  {out / name}")
    except OSError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
