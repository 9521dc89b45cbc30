"""Each request of a connection is judged by its own head, even if the server knows the connection."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson

from tests.access.foreign import OWN, Foreign, X


def test_a_connection_that_the_server_knows_shows_no_key_for_those_behind_it(url: str, foreign: Foreign) -> None:
    """Requests on one connection, as a proxy sends those of many callers: each is judged by its own head."""
    body = orjson.dumps({"model_id": OWN, "X": X[:1]})
    place = urlsplit(url)
    shown = {"good": f"authorization: Bearer {foreign.predictor}\r\n", "none": ""}
    for order_of_heads in (["good", "good", "good", "none"], ["none"], ["good", "none"]):
        with ExitStack() as opened:
            connection = opened.enter_context(socket.create_connection((str(place.hostname), int(place.port or 0))))
            answers = opened.enter_context(connection.makefile("rb"))
            for who in order_of_heads:
                head = f"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n{shown[who]}\r\n"
                connection.sendall(head.encode() + body)
                assert read_answer(answers) == {"good": 200, "none": 401}[who]


def read_answer(answers: Any) -> int:
    status = int(answers.readline().split()[1])
    length = 0
    while (line := answers.readline().strip()) != b"":
        name, _, value = line.partition(b":")
        length = int(value) if name.lower() == b"content-length" else length
    answers.read(length)
    return status


def test_head_is_for_those_who_may_get(url: str, foreign: Foreign) -> None:
    assert httpx.head(f"{url}/models").status_code == 401
    assert httpx.head(f"{url}/models", headers={"authorization": f"Bearer {foreign.predictor}"}).status_code == 200
