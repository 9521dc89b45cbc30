"""Create credentials on a ClearML server without its web page, and print them as a `clearml.conf`.

`python3 credentials.py [FILE]`. The user and the password are `CLEARML_USER` and `CLEARML_PASSWORD`, else those in a
FILE of `first_start.py`: by default the one in the container of the API. The server is `CLEARML_API_HOST`, else on this
machine.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

CONF = """api {{
    web_server: {web}
    api_server: {api}
    files_server: {files}
    credentials {{
        "access_key" = "{access_key}"
        "secret_key" = "{secret_key}"
    }}
}}
"""


def main() -> None:
    """Log in, create a key pair, and print it."""
    user, password = _sign_in()
    api = os.environ.get("CLEARML_API_HOST", "http://localhost:8008").rstrip("/")
    basic = base64.b64encode(f"{user}:{password}".encode()).decode()
    token = _call(f"{api}/auth.login", f"Basic {basic}")["token"]
    made = _call(f"{api}/auth.create_credentials", f"Bearer {token}", {"label": "modelyard"})["credentials"]
    sys.stdout.write(
        CONF.format(
            api=api,
            web=os.environ.get("CLEARML_WEB_HOST", "http://localhost:8080"),
            files=os.environ.get("CLEARML_FILES_HOST", "http://localhost:8081"),
            access_key=made["access_key"],
            secret_key=made["secret_key"],
        )
    )


def _sign_in() -> tuple[str, str]:
    if "CLEARML_USER" in os.environ and "CLEARML_PASSWORD" in os.environ:
        return os.environ["CLEARML_USER"], os.environ["CLEARML_PASSWORD"]
    written = Path(sys.argv[1] if len(sys.argv) > 1 else "/opt/clearml/config/sign_in.json")
    if not written.exists():
        sys.exit(
            "set CLEARML_USER and CLEARML_PASSWORD, or run this in the container of the API: "
            "docker compose exec -T apiserver python3 /credentials.py"
        )
    known = json.loads(written.read_text(encoding="utf-8"))
    return known["user"], known["password"]


def _call(url: str, authorization: str, said: dict[str, Any] | None = None) -> dict[str, Any]:
    request = urllib.request.Request(  # noqa: S310
        url,
        json.dumps(said or {}).encode(),
        {"Authorization": authorization, "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            data: dict[str, Any] = json.load(answer)["data"]
            return data
    except urllib.error.HTTPError as error:
        sys.exit(f"{url} answers {error.code}: {_reason(error.read())}")
    except (urllib.error.URLError, TimeoutError) as error:
        sys.exit(f"{url} cannot be reached: {getattr(error, 'reason', error)}")


def _reason(body: bytes) -> str:
    try:
        return str(json.loads(body)["meta"]["result_msg"])
    except (ValueError, KeyError, TypeError):
        return "no answer of a ClearML server"


if __name__ == "__main__":
    main()
