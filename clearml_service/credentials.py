"""Create credentials on a ClearML server without its web page, and print them as a `clearml.conf`.

`python clearml_service/credentials.py >> ~/clearml.conf`. The user and the password are those of `.env` beside this
file, or of the environment: CLEARML_USER and CLEARML_PASSWORD; the server is CLEARML_API_HOST, else on this machine.
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
    settings = {**_env_file(Path(__file__).with_name(".env")), **os.environ}
    try:
        user, password = settings["CLEARML_USER"], settings["CLEARML_PASSWORD"]
    except KeyError as error:
        sys.exit(f"{error.args[0]} is set neither in the environment nor in {Path(__file__).with_name('.env')}")
    api = settings.get("CLEARML_API_HOST", "http://localhost:8008").rstrip("/")
    basic = base64.b64encode(f"{user}:{password}".encode()).decode()
    token = _call(f"{api}/auth.login", f"Basic {basic}")["token"]
    made = _call(f"{api}/auth.create_credentials", f"Bearer {token}", {"label": "modelyard"})["credentials"]
    sys.stdout.write(
        CONF.format(
            api=api,
            web=settings.get("CLEARML_WEB_HOST", "http://localhost:8080"),
            files=settings.get("CLEARML_FILES_HOST", "http://localhost:8081"),
            access_key=made["access_key"],
            secret_key=made["secret_key"],
        )
    )


def _env_file(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    pairs = (line.partition("=") for line in path.read_text().splitlines() if line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}


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
        sys.exit(f"{url} answers {error.code}: {json.load(error)['meta']['result_msg']}")
    except (urllib.error.URLError, TimeoutError) as error:
        sys.exit(f"{url} cannot be reached: {getattr(error, 'reason', error)}")


if __name__ == "__main__":
    main()
