"""Loaded models: loaded once, bounded by bytes, warmed up, never served after they were deleted; and the short way."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import ASGIApp

from modelyard.bootstrap import build
from modelyard.errors import InvalidTable, ModelNotFound
from modelyard.ml_core.desk import SMALL_BYTES, Desk
from modelyard.ml_core.serving import loaded as serving
from modelyard.ml_core.serving.loaded import LoadedModel, LoadedModels
from modelyard.ml_core.yard import Yard
from modelyard.models_registry.catboost.predictor import CatBoostPredictor
from modelyard.rest_api.app import create_app
from modelyard.rest_api.express.gathering import MOST_HELD_BYTES, GatheringProtocol, _Gathering
from modelyard.rest_api.express.short_way import ShortWay
from modelyard.rest_api.gate import Gate
from modelyard.schemas import AliasRequest, Predictions, PredictRequest, TrainRequest
from modelyard.settings import Settings
from modelyard.storage import ModelStore
from modelyard.tables import Reader
from tests import doors
from tests.waiting import PATIENCE_S

X = [{"age": i, "job": "ab"[i % 2]} for i in range(30)]
Y = ["high" if i > 14 else "low" for i in range(30)]


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    yard = build(Settings(storage_dir=tmp_path_factory.mktemp("serving") / "yard"))
    for name in ("one", "one", "two", "three"):
        yard.train(request(name))
    yield yard
    yard.close()


@pytest.fixture
def store(yard: Yard) -> ModelStore:
    return yard._store


def request(name: str) -> TrainRequest:
    return TrainRequest(model_class_key="logistic_regression", X=X, y=Y, name=name, evaluation={"method": "none"})


def test_many_who_ask_for_a_model_at_once_load_it_once(store: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[str] = []
    may_load = threading.Event()

    def load(store: ModelStore, record: Any, max_file_bytes: int) -> LoadedModel:
        loads.append(record.metadata.model_id)
        may_load.wait(PATIENCE_S)
        return original(store, record, max_file_bytes)

    original = serving.load
    monkeypatch.setattr(serving, "load", load)
    loaded = LoadedModels(store, 2**20)
    with ThreadPoolExecutor(8) as threads:
        found = [threads.submit(loaded.get, "one") for _ in range(8)]
        may_load.set()
        models = {id(one.result(PATIENCE_S)) for one in found}
    assert len(loads) == 1
    assert len(models) == 1


def test_a_failed_load_is_raised_to_all_and_tried_again(store: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = LoadedModels(store, 2**20)
    with monkeypatch.context() as patched:
        patched.setattr(serving, "load", fail)
        with pytest.raises(OSError, match="no disk"):
            loaded.get("one")
    assert loaded.get("one").model_class_key == "logistic_regression"


def fail(*_: object) -> LoadedModel:
    raise OSError("no disk")


def test_the_least_recently_used_make_room(store: ModelStore) -> None:
    size = LoadedModels(store, 2**20).get("one").size_bytes
    loaded = LoadedModels(store, int(2.5 * size))
    loaded.get("one")
    loaded.get("two")
    loaded.get("one")
    loaded.get("three")
    assert loaded.get_loaded("two") is None
    assert loaded.get_loaded("one") is not None
    assert loaded.get_loaded("three") is not None
    assert loaded.size_bytes <= 2.5 * size


def test_a_model_larger_than_the_bound_is_kept_alone(store: ModelStore) -> None:
    loaded = LoadedModels(store, 1)
    loaded.get("one")
    assert loaded.get_loaded("one") is not None
    loaded.get("two")
    assert loaded.get_loaded("one") is None
    assert loaded.get_loaded("two") is not None


def test_warm_up_loads_the_latest_version_of_each_name(store: ModelStore) -> None:
    loaded = LoadedModels(store, 2**20)
    loaded.warm_up(lambda: False)
    assert all(loaded.get_loaded(name) for name in ("one:2", "two", "three"))
    assert loaded.get_loaded("one:1") is None


def test_warm_up_stops_at_the_bound_and_when_it_is_told(store: ModelStore) -> None:
    newest = LoadedModels(store, 2**20).get("three")
    artifact = store.get("three").metadata.artifact.bytes
    loaded = LoadedModels(store, artifact + newest.size_bytes // 2)
    loaded.warm_up(lambda: False)
    assert loaded.get_loaded("three") is not None
    assert loaded.get_loaded("one") is None
    none = LoadedModels(store, 2**20)
    none.warm_up(lambda: True)
    assert none.size_bytes == 0


def test_warm_up_passes_over_what_is_damaged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with doors.core(tmp_path / "yard") as yard:
        good, bad = yard.train(request("good")), yard.train(request("bad"))
        (tmp_path / "yard" / "artifacts" / bad.model_id / bad.artifact.file).write_bytes(b"broken")
        loaded = LoadedModels(yard._store, 2**20)
        loaded.warm_up(lambda: False)
        assert loaded.get_loaded(good.model_id) is not None
        assert bad.model_id in caplog.text


def test_a_model_deleted_by_another_process_is_not_served_again(tmp_path: Path) -> None:
    folder = tmp_path / "yard"
    with doors.rest(folder) as client, doors.core(folder) as core:
        client.train(request("shared"))
        asked = PredictRequest(model_id="shared", X=X[:1])
        assert client.predict(asked).predictions
        core.delete("shared")
        with pytest.raises(ModelNotFound):
            client.predict(asked)
        core.restore("shared:1")
        assert client.predict(asked).predictions


@pytest.fixture(scope="module")
def ways(yard: Yard) -> tuple[ASGIApp, ASGIApp]:
    """The application, and the same one without the short way."""
    given_settings = Settings(max_body_mb=0.05)
    whole = create_app(Desk(yard), given_settings)
    assert isinstance(whole, Gate)
    assert isinstance(whole._app, ShortWay)
    return whole, create_app(Desk(yard), given_settings.model_copy(update={"rest_express": False}))


def post(app: ASGIApp, body: bytes, method: str = "POST", **headers: str) -> httpx.Response:
    """Send one request to an application."""

    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return await client.request(method, "/predict", content=body, headers={"X-Request-Id": "same", **headers})

    return asyncio.run(send())


cells = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from("ab")
tables = st.one_of(
    st.lists(st.fixed_dictionaries({"age": st.integers(0, 9) | cells, "job": cells}, optional={"more": cells})),
    st.lists(st.lists(cells, max_size=3), max_size=3),
    st.dictionaries(st.sampled_from(["age", "job", "x"]), st.lists(cells, max_size=3)),
    cells,
)
bodies = st.one_of(
    st.binary(max_size=50),
    st.fixed_dictionaries(
        {"X": tables},
        optional={
            "model_id": st.sampled_from(["one", "one:1", "two", "none", "", "one:9"]) | cells,
            "modelid": st.just("one"),
            "probabilities": st.booleans() | cells,
            "feature_names": st.lists(st.sampled_from(["age", "job"])) | cells,
            "other": cells,
        },
    ).map(lambda fields: json.dumps(fields).encode()),
)


@given(body=bodies)
def test_the_short_way_answers_as_the_route(ways: tuple[ASGIApp, ASGIApp], body: bytes) -> None:
    short, general = (post(app, body) for app in ways)
    assert short.status_code == general.status_code < 500
    assert short.content == general.content
    for name in ("content-type", "x-request-id", "content-length"):
        assert short.headers[name] == general.headers[name]
    assert ("server-timing" in short.headers) == ("server-timing" in general.headers)


def test_the_short_way_keeps_the_gate(ways: tuple[ASGIApp, ASGIApp]) -> None:
    body = orjson.dumps({"model_id": "one", "X": X[:1]})
    for app in ways:
        assert post(app, body, Host="evil.example").status_code == 403
        assert post(app, body, Origin="http://evil.example").status_code == 403
        assert post(app, b" " * 60_000).status_code == 413
        assert post(app, b"", "GET").status_code == 405
        assert post(app, body).status_code == 200


def test_cross_origin_answers_keep_their_headers(yard: Yard) -> None:
    app = create_app(Desk(yard), Settings(allowed_origins=("https://app.example",)))
    answer = post(app, orjson.dumps({"model_id": "one", "X": X[:1]}), Origin="https://app.example")
    assert answer.headers["access-control-allow-origin"] == "https://app.example"


def test_small_requests_stay_on_the_loop_while_loads_and_large_ones_leave_it(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_in: list[threading.Thread] = []
    loaded_in: list[threading.Thread] = []

    def read(reader: Reader, *asked: Any) -> Any:
        read_in.append(threading.current_thread())
        return original_read(reader, *asked)

    def load(store: ModelStore, record: Any, max_file_bytes: int) -> LoadedModel:
        loaded_in.append(threading.current_thread())
        return original_load(store, record, max_file_bytes)

    original_read, original_load = Reader.read, serving.load
    monkeypatch.setattr(Reader, "read", read)
    monkeypatch.setattr(serving, "load", load)
    small = orjson.dumps({"model_id": "two", "X": X[:1]})
    large = orjson.dumps({"model_id": "two", "X": X * 40})
    assert len(large) > SMALL_BYTES
    yard.loaded = LoadedModels(yard._store, 2**20)

    app = create_app(Desk(yard), Settings())

    async def ask() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            await asyncio.gather(*(client.post("/predict", content=small) for _ in range(3)))
            await client.post("/predict", content=large)

    asyncio.run(ask())
    here = threading.current_thread()
    assert [thread is here for thread in loaded_in] == [False]
    assert [thread is here for thread in read_in] == [True, True, True, False]


def test_who_asks_in_one_turn_shares_a_call_and_gets_the_answer_of_his_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with doors.core(tmp_path / "yard") as yard:
        yard.train(request("cb").model_copy(update={"model_class_key": "catboost_classifier"}))
        asked = [
            PredictRequest(model_id="cb", X=X[start : start + rows], probabilities=True)
            for start, rows in ((0, 1), (1, 3), (4, 1), (5, 25), (0, 30), (0, 30), (7, 1))
        ]
        alone = [yard.predict(one) for one in asked]
        calls: list[int] = []

        def few(predictor: CatBoostPredictor, rows: Any) -> Any:
            calls.append(len(rows))
            return original(predictor, rows)

        original = CatBoostPredictor.few
        monkeypatch.setattr(CatBoostPredictor, "few", few)

        desk = Desk(yard)

        async def ask(request: PredictRequest) -> Predictions:
            return (await desk.predict(0, lambda: request, lambda found: found)).content

        async def together(*requests: PredictRequest) -> list[Any]:
            return await asyncio.gather(*map(ask, requests), return_exceptions=True)

        assert asyncio.run(together(*asked)) == alone
        assert calls == [60, 31]
        wrong = PredictRequest(model_id="cb", X=[{"age": "x", "job": "a"}])
        mixed = asyncio.run(together(asked[0], wrong, asked[1]))
        assert (mixed[0], mixed[2]) == (alone[0], alone[1])
        assert isinstance(mixed[1], InvalidTable)

        async def one_leaves() -> Any:
            tasks = [asyncio.ensure_future(ask(one)) for one in asked[:3]]
            await asyncio.sleep(0)
            tasks[1].cancel()
            return await asyncio.gather(tasks[0], tasks[2])

        assert asyncio.run(one_leaves()) == [alone[0], alone[2]]
        monkeypatch.setattr(CatBoostPredictor, "few", lambda *_: 1 / 0)
        assert [type(error) for error in asyncio.run(together(*asked[:2]))] == [ZeroDivisionError] * 2


def test_few_rows_and_many_get_the_same_answers(yard: Yard) -> None:
    for form in (X * 10, [list(row.values()) for row in X * 10], {key: [row[key] for row in X * 10] for key in X[0]}):
        many = yard.predict(PredictRequest(model_id="one", X=form, probabilities=True))
        few = yard.predict(PredictRequest(model_id="one", X=X, probabilities=True))
        assert many.predictions == few.predictions * 10
        assert many.probabilities is not None
        assert few.probabilities is not None
        assert many.probabilities[0] == pytest.approx(few.probabilities[0], abs=1e-12)


def test_catboost_predicts_without_its_short_pool_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with doors.core(tmp_path / "yard") as yard:
        yard.train(request("cb").model_copy(update={"model_class_key": "catboost_classifier"}))
        asked = PredictRequest(model_id="cb", X=X[:5], probabilities=True)
        quick = yard.predict(asked)

        def gone(*_: object) -> None:
            raise TypeError("_init_pool() takes other arguments")

        monkeypatch.setattr(CatBoostPredictor, "_short_pool", gone)
        yard.loaded = LoadedModels(yard._store, 2**20)
        assert yard.predict(asked) == quick


def test_head_and_body_leave_in_one_write_and_before_a_close() -> None:
    async def talk() -> list[str]:
        transport = Transport()
        gathering = _Gathering(transport, asyncio.get_running_loop())  # type: ignore[arg-type]
        gathering.write(b"head ")
        gathering.write(b"body")
        await asyncio.sleep(0)
        gathering.write(b"last")
        gathering.close()
        return transport.did

    assert asyncio.run(talk()) == ["head body", "last", "closed"]


def test_a_body_is_handed_on_in_few_pieces_and_as_it_came() -> None:
    messages: list[list[bytes]] = []

    async def app(_: Any, receive: Any, send: Any) -> None:
        messages.append([])
        more = True
        while more:
            message = await receive()
            messages[-1].append(message["body"])
            more = message["more_body"]
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def talk(bodies: list[bytes]) -> None:
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", http=GatheringProtocol))
        with socket.create_server(("127.0.0.1", 0)) as listening:
            config = server.config
            config.load()
            server.lifespan = config.lifespan_class(config)
            await server.startup([listening])
            reader, writer = await asyncio.open_connection(*listening.getsockname())
            for body in bodies:  # the second waits until the first is answered
                writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
            await writer.drain()
            for _ in bodies:
                assert b" 204 " in await reader.readuntil(b"\r\n\r\n")
            writer.close()
            await server.shutdown([listening])

    bodies = [os.urandom(2 * MOST_HELD_BYTES + 10**6), b"small", b"", os.urandom(10**6)]
    asyncio.run(talk(bodies))
    assert [b"".join(pieces) for pieces in messages] == bodies
    assert [len(pieces) for pieces in messages] == [3, 1, 1, 1]


class Transport:
    """What a socket's transport is asked to do."""

    def __init__(self) -> None:
        self.did: list[str] = []

    def writelines(self, chunks: list[bytes]) -> None:
        self.did.append(b"".join(chunks).decode())

    def is_closing(self) -> bool:
        return "closed" in self.did

    def close(self) -> None:
        self.did.append("closed")


def test_who_asks_after_a_move_is_not_answered_by_what_others_load_since_before(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    begun, may_load = threading.Event(), threading.Event()

    def load(store: ModelStore, record: Any, max_file_bytes: int) -> LoadedModel:
        begun.set()
        assert may_load.wait(PATIENCE_S)
        return original(store, record, max_file_bytes)

    original = serving.load
    monkeypatch.setattr(serving, "load", load)
    asked = PredictRequest(model_id="moved@live", X=X[:1])

    async def ask(desk: Desk) -> str:
        return (await desk.predict(100, lambda: asked, lambda found: found)).content.model_id

    async def ask_move_and_ask(desk: Desk, core: Yard) -> str:
        first = asyncio.create_task(ask(desk))
        assert await asyncio.to_thread(begun.wait, PATIENCE_S)
        await asyncio.to_thread(core.set_alias, "moved", "live", AliasRequest(version=2))
        second = asyncio.create_task(ask(desk))
        for _ in range(10):  # turns of the loop, after which it waits for a model
            await asyncio.sleep(0)
        may_load.set()
        await first
        return await second

    with build(Settings(storage_dir=tmp_path / "yard")) as core:
        ids = [core.train(request("moved")).model_id for _ in range(2)]
        core.set_alias("moved", "live", AliasRequest(version=1))
        assert asyncio.run(ask_move_and_ask(Desk(core), core)) == ids[1]
