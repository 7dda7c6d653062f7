"""Checks a compose file on standard input against the Compose Specification, and that its networks,
volumes, configs and secrets exist. Variables have their defaults. Prints what is wrong and exits 1."""

import re
import sys

from compose_spec import PyOptions

# ${NAME:-DEFAULT}, or ${NAME:?MESSAGE}, which has none. The parser does not fill them in.
VARIABLE = re.compile(r"\$\{[A-Z_]+:(?:-([^}]*)|\?[^}]*)\}")

try:
    text = VARIABLE.sub(lambda found: found[1] or "given", sys.stdin.read())
    PyOptions(apply_merge=True).from_yaml(text).validate()
except Exception as error:  # of several kinds
    sys.exit(str(error))
