"""Checks a compose file on standard input against the Compose Specification, and that its networks,
volumes, configs and secrets exist. Prints what is wrong and exits 1."""

import sys

from compose_spec import PyCompose

try:
    PyCompose.from_yaml(sys.stdin.read()).validate()
except Exception as error:  # of several kinds
    sys.exit(str(error))
