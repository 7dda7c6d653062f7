"""Makes a release twice and checks it: sums, images, bill of materials, the program in use.

    python3 tests/release/test.py [TARGET=PROGRAM...]

Without programs, it is dist/pointsman for this machine, which `make dist-test` builds first.
"""

import gzip
import hashlib
import io
import json
import os
import platform
import subprocess
import sys
import tarfile
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODULE = (ROOT / "dist/pointsman.wasm").read_bytes()
DATE = "1700000000"
PROGRAMS: list[str] = []


def run(*command, **options) -> str:
    """A command's output; what it says when it fails is the error."""
    done = subprocess.run(command, text=True, capture_output=True, **options)
    if done.returncode != 0:
        raise AssertionError(f"{command}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def host() -> str:
    """This machine's Rust target."""
    [line] = [it for it in run("rustc", "-vV", cwd=ROOT).splitlines() if it.startswith("host: ")]
    return line.removeprefix("host: ")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def unpack(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {entry.name: archive.extractfile(entry).read() for entry in archive}


class Release(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        programs = PROGRAMS or [f"{host()}={ROOT / 'dist/pointsman'}"]
        cls.targets = [program.partition("=")[0] for program in programs]
        cls.made = []
        for name in ("first", "second"):
            out = cls.folder / name
            environment = os.environ | {"SOURCE_DATE_EPOCH": DATE}
            run(sys.executable, ROOT / "scripts/dist.py", *programs, "--out", out, env=environment)
            cls.made.append({path.name: path.read_bytes() for path in out.iterdir()})
        cls.files = cls.made[0]
        module = next(name for name in cls.files if name.endswith(".wasm"))
        cls.version = module.removeprefix("pointsman-").removesuffix(".wasm")
        cls.layout = unpack(cls.files[f"pointsman-{cls.version}.oci.tar"])

    def test_the_same_inputs_give_the_same_bytes(self):
        first, second = self.made
        self.assertEqual(first.keys(), second.keys())
        for name in first:
            # Not assertEqual, which would print megabytes.
            self.assertTrue(first[name] == second[name], name)

    def test_it_has_the_files_of_the_documentation_and_a_sum_of_each(self):
        names = [f"pointsman-{self.version}.{suffix}" for suffix in ("cdx.json", "oci.tar", "wasm")]
        names += [f"pointsman-{self.version}-{target}.tar.gz" for target in self.targets]
        self.assertEqual(sorted(self.files), sorted([*names, "SHA256SUMS"]))
        sums = [line.split("  ") for line in self.files["SHA256SUMS"].decode().splitlines()]
        self.assertEqual([name for _, name in sums], sorted(names))
        for digest, name in sums:
            self.assertEqual(digest, sha256(self.files[name]), name)
        self.assertTrue(self.files[f"pointsman-{self.version}.wasm"] == MODULE)

    def test_archives_name_no_user_and_no_time_but_the_date(self):
        for name, data in self.files.items():
            if ".tar" not in name:
                continue
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                entries = archive.getmembers()
            self.assertEqual([it.name for it in entries], sorted(it.name for it in entries))
            for it in entries:
                self.assertEqual(
                    (it.uid, it.gid, it.uname, it.gname, it.mtime),
                    (0, 0, "", "", int(DATE)),
                    it.name,
                )

    def blob(self, descriptor: dict) -> bytes:
        algorithm, digest = descriptor["digest"].split(":")
        data = self.layout[f"blobs/{algorithm}/{digest}"]
        self.assertEqual((sha256(data), len(data)), (digest, descriptor["size"]))
        return data

    def image(self, tag: str) -> dict:
        """The manifest with a tag. All of its blobs are as it says."""
        self.assertEqual(json.loads(self.layout["oci-layout"]), {"imageLayoutVersion": "1.0.0"})
        tagged = {
            it["annotations"]["org.opencontainers.image.ref.name"]: it
            for it in json.loads(self.layout["index.json"])["manifests"]
        }
        self.assertEqual(sorted(tagged), [self.version, f"{self.version}-oci"])
        manifest = json.loads(self.blob(tagged[tag]))
        # Anything but Docker's manifest is read by the rules of the two tests below.
        self.assertEqual(manifest["mediaType"], "application/vnd.oci.image.manifest.v1+json")
        for descriptor in (manifest["config"], *manifest["layers"]):
            self.blob(descriptor)
        return manifest

    def test_the_compat_image_is_read_as_istio_and_envoy_gateway_do(self):
        manifest = self.image(self.version)
        self.assertEqual(manifest["annotations"]["module.wasm.image/variant"], "compat")
        [layer] = manifest["layers"]
        self.assertEqual(layer["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip")
        unpacked = gzip.decompress(self.blob(layer))
        self.assertTrue(unpack(unpacked)["plugin.wasm"] == MODULE)
        config = json.loads(self.blob(manifest["config"]))
        self.assertEqual(config["rootfs"]["diff_ids"], [f"sha256:{sha256(unpacked)}"])

    def test_the_oci_image_is_read_as_istio_and_envoy_gateway_do(self):
        layers = self.image(f"{self.version}-oci")["layers"]
        self.assertEqual(len(layers), 2)
        [layer] = [
            it
            for it in layers
            if it["mediaType"] == "application/vnd.module.wasm.content.layer.v1+wasm"
        ]
        self.assertTrue(self.blob(layer) == MODULE)

    def test_the_bill_of_materials_knows_every_crate_that_it_mentions(self):
        bill = json.loads(self.files[f"pointsman-{self.version}.cdx.json"])
        self.assertEqual((bill["bomFormat"], bill["specVersion"]), ("CycloneDX", "1.5"))
        product = bill["metadata"]["component"]
        self.assertEqual((product["name"], product["version"]), ("pointsman", self.version))
        components = {it["bom-ref"]: it for it in bill["components"]}
        self.assertEqual(len(components), len(bill["components"]))
        known = components.keys() | {product["bom-ref"]}
        below = {it["ref"]: set(it["dependsOn"]) for it in bill["dependencies"]}
        self.assertEqual(below.keys(), known)
        self.assertLessEqual(set().union(*below.values()), known)
        for it in bill["components"]:
            self.assertTrue(it["licenses"][0]["expression"], it["name"])
            if not it["name"].startswith("pointsman-"):
                self.assertEqual(it["purl"].partition("@")[0], f"pkg:cargo/{it['name']}")
                self.assertRegex(it["hashes"][0]["content"], "^[0-9a-f]{64}$")
        scopes = {it["name"]: it["scope"] for it in bill["components"]}
        expected = {"tract-core": "required", "proxy-wasm": "required", "rusqlite": "required"}
        expected |= {"cc": "excluded", "serde_derive": "excluded"}
        self.assertEqual({name: scopes[name] for name in expected}, expected)
        # Only tests need these.
        self.assertFalse({"wasmtime", "criterion", "insta"} & scopes.keys())

    def test_an_archive_has_the_program_its_pages_and_its_completions(self):
        for target in self.targets:
            name = f"pointsman-{self.version}-{target}"
            files = unpack(self.files[f"{name}.tar.gz"])
            for path in (
                "pointsman",
                "LICENSE",
                "README.md",
                "man/man1/pointsman.1",
                "man/man1/pointsman-up.1",
            ):
                self.assertTrue(files[f"{name}/{path}"], path)
            for path in ("bash", "fish"):
                self.assertIn(b"pointsman", files[f"{name}/completions/pointsman.{path}"])
            self.assertTrue(
                files[f"{name}/completions/_pointsman"].startswith(b"#compdef pointsman")
            )
            self.assertNotIn(b".symtab", files[f"{name}/pointsman"])
            self.assertNotIn(os.fsencode(ROOT), files[f"{name}/pointsman"])

    def test_the_program_needs_an_envoy_on_path_and_no_repository(self):
        here = [
            it for it in self.targets if it.startswith(f"{platform.machine()}-") and "linux" in it
        ]
        envoy = Path(run(ROOT / "scripts/get-envoy.sh").strip())
        for target in here:
            with self.subTest(target), tempfile.TemporaryDirectory() as empty:
                folder = Path(empty)
                name = f"pointsman-{self.version}-{target}"
                with tarfile.open(fileobj=io.BytesIO(self.files[f"{name}.tar.gz"])) as archive:
                    archive.extractall(folder, filter="data")
                (folder / "path").mkdir()
                (folder / "path/envoy").symlink_to(envoy)
                program = folder / name / "pointsman"
                options = {
                    "cwd": folder,
                    "env": {"PATH": str(folder / "path"), "OPENAI_API_KEY": "not-a-key"},
                }
                self.assertEqual(
                    run(program, "--version", **options), f"pointsman {self.version}\n"
                )
                models = ["--cheap", "openai/small-model", "--strong", "openai/large-model"]
                written = run(program, "up", *models, "--dry-run", **options)
                self.assertIn("envoy.yaml", written)
                self.assertTrue((folder / ".pointsman/pointsman.wasm").read_bytes() == MODULE)


if __name__ == "__main__":
    PROGRAMS = sys.argv[1:]
    unittest.main(argv=sys.argv[:1])
