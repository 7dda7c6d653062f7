#!/usr/bin/python3
"""Stands in for Grafana, of which there is no package: reads the provisioning as Grafana does, does not
start when it is wrong, and serves the few paths that the test asks for. It draws nothing."""

import json
import os
import sys
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml

PROVISIONING = Path(os.environ.get("GF_PATHS_PROVISIONING", "/etc/grafana/provisioning"))


def files(kind):
    """The provisioning files of a kind."""
    folder = PROVISIONING / kind
    found = [file for file in sorted(folder.iterdir()) if file.suffix in (".yaml", ".yml")]
    if not found:
        sys.exit(f"{folder} has no YAML file")
    for file in found:
        value = yaml.safe_load(file.read_text(encoding="utf-8"))
        if value.get("apiVersion") != 1:
            sys.exit(f"{file}: apiVersion must be 1")
        yield file, value


def data_sources():
    known = {"name", "uid", "type", "access", "url", "isDefault", "jsonData"}
    found = {}
    for file, value in files("datasources"):
        for source in value["datasources"]:
            if source.keys() - known:
                sys.exit(f"{file}: this stand-in does not know {sorted(source.keys() - known)}")
            if source["type"] != "prometheus" or source["access"] != "proxy":
                sys.exit(f"{file}: a Prometheus, through Grafana, is expected")
            found[source["uid"]] = source
    if sum(source.get("isDefault", False) for source in found.values()) != 1:
        sys.exit("one data source must be the default")
    return found


def dashboards():
    found = {}
    for file, value in files("dashboards"):
        for provider in value["providers"]:
            if provider["type"] != "file":
                sys.exit(f"{file}: type must be file")
            for path in Path(provider["options"]["path"]).rglob("*.json"):
                dashboard = json.loads(path.read_text(encoding="utf-8"))
                found[dashboard["uid"]] = dashboard
    if not found:
        sys.exit("no dashboard is provisioned")
    return found


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        sources, boards = self.server.sources, self.server.boards
        match self.path.split("/")[1:]:
            case ["api", "health"]:
                self.reply(200, {"database": "ok", "version": "stand-in"})
            case ["api", "dashboards", "uid", uid] if uid in boards:
                self.reply(200, {"dashboard": boards[uid]})
            case ["api", "datasources", "proxy", "uid", uid, *rest] if uid in sources:
                self.forward(sources[uid]["url"] + "/" + "/".join(rest))
            case _:
                self.reply(404, {"message": "Not found"})

    def forward(self, url):
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                self.reply(answer.status, json.load(answer))
        except (OSError, ValueError) as error:
            self.reply(502, {"message": f"{url}: {error}"})

    def reply(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        pass


def main():
    data = Path(os.environ.get("GF_PATHS_DATA", "/var/lib/grafana"))
    (data / "grafana.db").write_bytes(b"")  # where Grafana, too, must be able to write
    home = os.environ.get("GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH")
    if home:
        json.loads(Path(home).read_text(encoding="utf-8"))
    if not os.environ.get("GF_SECURITY_ADMIN_PASSWORD"):
        sys.exit("the administrator needs a password")
    server = ThreadingHTTPServer(("", 3000), Handler)
    server.sources, server.boards = data_sources(), dashboards()
    server.serve_forever()


if __name__ == "__main__":
    main()
