"""Environments of their own for clients that do not go with our versions of their libraries.

Each is made from its lock file of `requirements/clients/` when it is first asked for, in `.venv/clients`, and kept
until the lock file changes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock

ROOT = Path(__file__).resolve().parents[1]

Client = Literal["triton", "kserve", "mlserver"]


def python_of(client: Client) -> Path:
    """Return the Python of a client's environment. Raises CalledProcessError with what the installer said."""
    lock = ROOT / "requirements" / "clients" / f"{client}.txt"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    digest = hashlib.sha256(lock.read_bytes() + version.encode()).hexdigest()[:12]
    home = Path(sys.prefix) / "clients" / f"{client}-{digest}"
    home.parent.mkdir(exist_ok=True)
    with FileLock(home.with_suffix(".lock")):
        if not (home / ".installed").exists():
            shutil.rmtree(home, ignore_errors=True)
            _uv("venv", "--python", sys.executable, str(home))
            _uv(
                "pip",
                "install",
                "--python",
                str(home / "bin" / "python"),
                "--require-hashes",
                "--requirement",
                str(lock),
            )
            (home / ".installed").touch()
    return home / "bin" / "python"


def ask(client: Client, script: Path, *arguments: str) -> Any:
    """Run a script in a client's environment and return the JSON that it writes. Raises AssertionError if it fails."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COVERAGE"))}
    done = subprocess.run(
        [python_of(client), script, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def _uv(*command: str) -> None:
    """Run uv, which is told of the index that pip is configured for, and trusts whom the system trusts, as pip does."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "get", "global.index-url"]
    index = subprocess.run(pip, capture_output=True, text=True, check=False).stdout.strip()
    environment = {**os.environ, "UV_SYSTEM_CERTS": "true", **({"UV_DEFAULT_INDEX": index} if index else {})}
    subprocess.run([Path(sys.prefix) / "bin" / "uv", "--quiet", *command], env=environment, check=True)
