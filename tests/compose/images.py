#!/usr/bin/env python3
"""Sees to it that the images of envoy/docker-compose.yaml are there.

    python3 tests/compose/images.py            # what is missing is pulled, or built as a stand-in
    python3 tests/compose/images.py --remove   # takes the stand-ins' names away again

A machine that reaches no registry gets stand-ins under the published names: the same programs from
Debian's packages and PyPI, in the versions that these have. Only Grafana is none. What was built stays
in the engine under pointsman-stand-in/NAME, so a second call takes seconds. Needs Docker; for
stand-ins also root, debootstrap (Debian's package) and Debian's mirror. Prints the images that are not
the published ones, with what differs.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
HERE = ROOT / "tests/compose"
COMPOSE = ROOT / "envoy/docker-compose.yaml"
MIRROR = "http://deb.debian.org/debian"
BASE = "debian:bookworm-slim"
# The published images by their repositories: the stand-in's stage, and what prints its version.
STAGES = {
    "envoyproxy/envoy": ("envoy", ["envoy", "--version"]),
    "python": ("python", ["python3", "--version"]),
    "redis": ("redis", ["redis-server", "--version"]),
    "prom/prometheus": ("prometheus", ["prometheus", "--version"]),
    "grafana/grafana": ("grafana", None),
}
CACHE = "pointsman-stand-in"


class Missing(Exception):
    """An image cannot be had here; the text says why."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def docker(*arguments, check=True, **options):
    """Runs docker; its standard output, or None if it failed and `check` is false."""
    done = subprocess.run(["docker", *map(str, arguments)], capture_output=True, text=True, **options)
    if done.returncode == 0:
        return done.stdout.strip()
    if check:
        raise Missing(f"docker {' '.join(map(str, arguments))}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return None


def identity(image):
    """The ID of a local image; None if there is none of this name."""
    return docker("image", "inspect", "--format", "{{.Id}}", image, check=False)


def published():
    """The images that the compose file names, except for our own."""
    text = COMPOSE.read_text(encoding="utf-8")
    found = sorted(set(re.findall(r"(?m)^ +image: (\S+)$", text)))
    return [image for image in found if not image.startswith("ghcr.io/pointsman/")]


def stand_ins():
    """The local images that are stand-ins, by ID."""
    lines = docker("image", "ls", "--no-trunc", "--format", "{{.ID}} {{.Repository}}").splitlines()
    return {line.split()[0] for line in lines if line.split()[1].startswith(CACHE + "/")}


def pull(image, unreachable):
    """Pulls an image; false if that does not work. A registry that was not reached is not asked again."""
    if unreachable:
        return False
    say(f"pulling {image}")
    try:
        done = subprocess.run(["docker", "pull", "--quiet", image], capture_output=True, text=True,
                              timeout=300)
    except subprocess.TimeoutExpired:
        unreachable.append("it took longer than 300 s")
        return False
    if done.returncode != 0:
        unreachable.append(done.stderr.strip())
    return done.returncode == 0


def provide():
    """Makes every image available; returns the names that stand-ins have been given."""
    given, unreachable = [], []
    known = stand_ins()
    for image in [BASE, *published()]:
        there = identity(image)
        if there is not None and there not in known:
            continue
        if not pull(image, unreachable):
            build(image)
            given.append(image)
    if unreachable:
        say(f"no registry: {unreachable[0]}")
    return given


def build(image):
    """Builds the stand-in of an image and gives it the image's name."""
    if image == BASE:
        stage = f"{CACHE}/debian:bookworm-slim"
        if identity(stage) is None:
            bootstrap(stage)
        docker("tag", stage, image)
        return
    repository = image.split(":")[0]
    if repository not in STAGES:
        raise Missing(f"{image} cannot be pulled, and there is no stand-in for it")
    name = STAGES[repository][0]
    tag = f"{CACHE}/{name}"
    with tempfile.TemporaryDirectory(prefix="pointsman-") as context:
        for file in ("Dockerfile", "grafana.py"):
            shutil.copy2(HERE / file, context)
        if name == "envoy":
            place_envoy(image, Path(context))
        os.chmod(Path(context, "grafana.py"), 0o755)
        say(f"building a stand-in for {image}")
        # apt-get in the build uses the host's network: a name server on loopback is none in a container.
        docker("build", "--network", "host", "--target", name, "--tag", tag, context,
               env={**os.environ, "DOCKER_BUILDKIT": "0"})
    docker("tag", tag, image)


def place_envoy(image, context):
    version = image.split(":v")[1]
    found = subprocess.run([ROOT / "scripts/get-envoy.sh", version], capture_output=True, text=True)
    if found.returncode != 0:
        raise Missing(f"no Envoy {version}: {found.stderr}")
    shutil.copy2(found.stdout.strip(), context / "envoy")


def bootstrap(tag):
    """A minimal Debian, from packages."""
    if os.geteuid() != 0:
        raise Missing("no registry, and debootstrap needs root")
    if shutil.which("debootstrap") is None:
        say("installing debootstrap")
        subprocess.run(["apt-get", "update", "-qq"], check=False, stdout=sys.stderr)
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "debootstrap"],
                       check=False, stdout=subprocess.DEVNULL)
    if shutil.which("debootstrap") is None:
        raise Missing("no registry, and no debootstrap: apt-get install debootstrap")
    say(f"building a stand-in for {BASE}: about a minute")
    with tempfile.TemporaryDirectory(prefix="pointsman-") as folder:
        system = Path(folder, "root")
        done = subprocess.run(["debootstrap", "--variant=minbase", "bookworm", system, MIRROR],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            raise Missing(f"debootstrap: {done.stdout[-2000:]}")
        for package in (system / "var/cache/apt/archives").glob("*.deb"):
            package.unlink()
        updates = f"deb {MIRROR} bookworm main\ndeb {MIRROR}-security bookworm-security main\n"
        (system / "etc/apt/sources.list").write_text(updates, encoding="utf-8")
        with subprocess.Popen(["tar", "-C", system, "-c", "."], stdout=subprocess.PIPE) as tar:
            docker("import", "--change", 'CMD ["bash"]', "-", tag, stdin=tar.stdout)


def version(image, command):
    """The version that a program in an image prints."""
    text = docker("run", "--rm", "--network", "none", "--entrypoint", command[0], image, *command[1:])
    return re.search(r"\d+\.\d+\.\d+", text)[0]


def print_gaps():
    """One line for each image that is not the published one."""
    known = stand_ins()
    for image in published():
        if identity(image) not in known:
            continue
        command = STAGES[image.split(":")[0]][1]
        tested = f"{version(image, command)} from packages" if command else "a stand-in that draws nothing"
        print(f"not the published image: {image} is {tested}", flush=True)


def remove():
    """Takes the published names, not the layers, from the stand-ins."""
    known = stand_ins()
    for image in [*published(), BASE]:
        if identity(image) in known:
            docker("image", "rm", "--no-prune", image, check=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--remove", action="store_true", help="take the stand-ins' names away again")
    arguments = parser.parse_args()
    try:
        if arguments.remove:
            remove()
        else:
            provide()
            print_gaps()
    except Missing as error:
        say(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
