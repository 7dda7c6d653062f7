"""Prints the size of a WebAssembly module and what it imports, by module.

    python3 scripts/wasm_report.py dist/pointsman.wasm
"""

import sys
from pathlib import Path

MAGIC = b"\0asm\x01\0\0\0"
IMPORT_SECTION = 2
FUNCTION, TABLE, MEMORY, GLOBAL = range(4)


class Reader:
    """A cursor over a module's bytes (WebAssembly core specification, section 5)."""

    def __init__(self, data: bytes):
        self.data, self.at = data, 0

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def u32(self) -> int:
        """An unsigned LEB128 number."""
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def take(self, length: int) -> bytes:
        self.at += length
        return self.data[self.at - length : self.at]

    def name(self) -> str:
        return self.take(self.u32()).decode()

    def skip_description(self) -> None:
        kind = self.byte()
        if kind == FUNCTION:
            self.u32()
        elif kind in (TABLE, MEMORY):
            if kind == TABLE:
                self.byte()
            has_maximum = self.byte() & 1
            self.u32()
            if has_maximum:
                self.u32()
        elif kind == GLOBAL:
            self.take(2)
        else:
            raise ValueError(f"import of unknown kind {kind}")


def imports(module: bytes) -> list[tuple[str, str]]:
    """The (module, name) pairs that the host must provide."""
    if not module.startswith(MAGIC):
        raise ValueError("not a WebAssembly 1.0 module")
    reader = Reader(module)
    reader.take(len(MAGIC))
    while reader.at < len(module):
        section, size = reader.byte(), reader.u32()
        body = Reader(reader.take(size))
        if section == IMPORT_SECTION:
            found = []
            for _ in range(body.u32()):
                found.append((body.name(), body.name()))
                body.skip_description()
            return found
    return []


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: python3 scripts/wasm_report.py MODULE.wasm")
    path = Path(sys.argv[1])
    try:
        module = path.read_bytes()
        found = imports(module)
    except (OSError, ValueError, IndexError) as error:
        sys.exit(f"error: {path}: {error}")
    print(f"{path}: {len(module):,} bytes, {len(found)} imports")
    for origin in sorted({origin for origin, _ in found}):
        print(f"  {origin}:")
        for name in sorted(name for other, name in found if other == origin):
            print(f"    {name}")


if __name__ == "__main__":
    main()
