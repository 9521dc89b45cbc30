"""`make bench` lists the benchmarks, `make bench ARGS="grpc_serving"` runs one of them; several run in turn."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

_ENTRY = 'if __name__ == "__main__":'


def names() -> list[str]:
    """Return the benchmarks: the modules here that measure when they are run, and are no server themselves."""
    files = sorted(Path(__file__).parent.glob("[a-z]*.py"))
    return [file.stem for file in files if _ENTRY in file.read_text() and "def run(" in file.read_text()]


def main(chosen: list[str]) -> None:
    """Run the chosen ones; without any, say what there is."""
    known = names()
    unknown = [name for name in chosen if name not in known]
    if unknown or not chosen:
        raise SystemExit(f"choose with ARGS=: {', '.join(known)}" + (f"; not {', '.join(unknown)}" if unknown else ""))
    sys.argv = sys.argv[:1]
    for name in chosen:
        print(f"## {name}\n", flush=True)
        runpy.run_module(f"benchmarks.{name}", run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
