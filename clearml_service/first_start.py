"""Write a ClearML server's configuration before it starts: secrets of its own, and the one user who may sign in.

ClearML's source has key pairs and a secret built in that everybody can read. Random ones take their place. They are
made at the first start and kept. `CLEARML_USER` and `CLEARML_PASSWORD` name the user; a password that is not given is
random, too. `python3 first_start.py [FOLDER]`; the folder is by default the one that ClearML's servers read.
"""

from __future__ import annotations

import ipaddress
import json
import os
import secrets
import sys
from pathlib import Path
from typing import Any

BUILT_IN_USERS = ("apiserver", "fileserver", "webserver", "tests")
"""The users that have key pairs in ClearML's source."""


def main() -> None:
    """Write `secure.conf` if it is missing, `sign_in.json` and `apiserver.conf` each time."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "/opt/clearml/config")
    user, password = os.environ.get("CLEARML_USER", ""), os.environ.get("CLEARML_PASSWORD", "")
    check(user, password, os.environ.get("CLEARML_BIND", "127.0.0.1"))
    kept = folder / "sign_in.json"
    sign_in = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    sign_in["user"] = user or sign_in.get("user", "modelyard")
    sign_in["password"] = password or sign_in.get("password", secrets.token_urlsafe(18))
    if not (folder / "secure.conf").exists():
        write(folder / "secure.conf", own_secrets())
    write(kept, sign_in)
    write(folder / "apiserver.conf", {"auth": fixed_users(sign_in["user"], sign_in["password"])})
    sys.stdout.write(f"{sign_in['user']!r} may sign in; the password is in {kept}\n")


def check(user: str, password: str, bind: str) -> None:
    """End with exit code 1 if what is set would let in somebody who only knows this project's files."""
    if ":" in user:
        sys.exit(f"CLEARML_USER must be a name without ':', got {user!r}")
    if password == "change-me":  # noqa: S105 - what the example said
        sys.exit("CLEARML_PASSWORD must not be 'change-me', which everybody knows; without one a random one is made")
    if not password and not is_loopback(bind):
        sys.exit(
            f"CLEARML_BIND={bind} lets other machines call: set CLEARML_USER and CLEARML_PASSWORD, "
            "or leave CLEARML_BIND at 127.0.0.1"
        )


def is_loopback(bind: str) -> bool:
    """Whether an address is in reach of this machine alone."""
    try:
        return ipaddress.ip_address(bind.strip("[]")).is_loopback
    except ValueError:
        return bind == "localhost"


def own_secrets() -> dict[str, Any]:
    """Return new values for all that has a public one in ClearML's own `secure.conf`."""
    return {
        "http": {"session_secret": {"apiserver": secrets.token_urlsafe(48)}},
        "auth": {"token_secret": secrets.token_urlsafe(48)},
        "credentials": {
            user: {"user_key": secrets.token_hex(16), "user_secret": secrets.token_urlsafe(48)}
            for user in BUILT_IN_USERS
        },
    }


def fixed_users(user: str, password: str) -> dict[str, Any]:
    """Return what lets one user sign in, and nobody by a name of his choice."""
    users = [{"username": user, "password": password, "name": user}]
    return {"fixed_users": {"enabled": True, "pass_hashed": False, "users": users}}


def write(path: Path, document: dict[str, Any]) -> None:
    """Write a document whole or not at all, for its owner alone. JSON is HOCON, but for escapes beyond ASCII."""
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    temporary.touch(mode=0o600, exist_ok=False)
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(document, file, ensure_ascii=False, indent=2)
        file.flush()
        os.fsync(file.fileno())  # a file that a power cut left empty would put the public secrets in force
    temporary.replace(path)


if __name__ == "__main__":
    main()
