"""Signed artifacts, by a real server: whoever can write its folder cannot make it run code."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from os import kill
from pathlib import Path
from typing import Any

import orjson
import pytest

from modelyard.access.signing import SigningKeys, mac
from modelyard.bootstrap import build
from modelyard.errors import DataLoss, ModelNotFound, Unsigned
from modelyard.rest_api.client import RestClient
from modelyard.schemas import (
    MOST_PROBABLE,
    Decision,
    EvaluateRequest,
    Evaluation,
    ExplainRequest,
    Job,
    ModelDescription,
    PredictRequest,
    RetrainRequest,
    TrainRequest,
)
from modelyard.settings import Settings
from modelyard.storage.collections.models import model_record
from modelyard.storage.collections.signatures import Signatures
from modelyard.storage.protocols import stored
from tests import doors, processes
from tests.forging import document_of, payload, put_artifact, put_document
from tests.waiting import wait_until

X: list[dict[str, Any]] = [{"age": 20 + i % 40, "job": ["clerk", "smith", None][i % 3]} for i in range(60)]
Y = ["yes" if row["age"] > 40 else "no" for row in X]
NO_EVALUATION = Evaluation(method="none")

Documents = dict[str, dict[str, Any]]
Attack = Callable[[Path, Documents, Path], None]
"""What somebody does to the model of the attack's name, given the folder, all documents by name, and the trace."""


def unsigned(root: Path, documents: Documents, trace: Path) -> None:
    document = documents["unsigned"]
    del document["signature"]
    put_artifact(root, document, payload(trace))


def forged(root: Path, documents: Documents, trace: Path) -> None:
    put_artifact(root, documents["forged"], payload(trace))


def signed_by_another_key(root: Path, documents: Documents, trace: Path) -> None:
    document = documents["signed_by_another_key"]
    put_artifact(root, document, payload(trace))
    record = model_record(document["metadata"]["model_id"], orjson.dumps(document))
    document["signature"] = Signatures(SigningKeys.from_secrets([b"attacker" * 4])).sign(record).signature


def swapped(root: Path, documents: Documents, trace: Path) -> None:
    good = root / "artifacts" / documents["good"]["metadata"]["model_id"] / "model.pkl"
    put_artifact(root, documents["swapped"], good.read_bytes())


def made_in_another_environment(root: Path, documents: Documents, trace: Path) -> None:
    documents["made_in_another_environment"]["metadata"]["environment"]["scikit-learn"] += ".1"


def of_another_class(root: Path, documents: Documents, trace: Path) -> None:
    documents["of_another_class"]["metadata"]["model_class_key"] = "catboost_classifier"


def planted(root: Path, documents: Documents, trace: Path) -> None:
    """Put a new model there, with a signature that is another model's."""
    model_id = str(uuid.uuid4())
    documents["planted"] = orjson.loads(orjson.dumps(documents["good"]))
    documents["planted"]["metadata"] |= {"model_id": model_id, "name": "planted"}
    shutil.copytree(root / "artifacts" / documents["good"]["metadata"]["model_id"], root / "artifacts" / model_id)
    put_artifact(root, documents["planted"], payload(trace))


ATTACKS: dict[str, Attack] = {
    attack.__name__: attack
    for attack in (
        unsigned,
        forged,
        signed_by_another_key,
        swapped,
        made_in_another_environment,
        of_another_class,
        planted,
    )
}


@dataclass(frozen=True, slots=True)
class Attacked:
    """A REST server whose folder somebody writes, who has none of its keys."""

    root: Path
    trace: Path
    process: subprocess.Popen[bytes]
    client: RestClient


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    path = tmp_path_factory.mktemp("attacked")
    root, trace, key = path / "yard", path / "trace", path / "key"
    key.write_text("k" * 44)
    key.chmod(0o600)
    with build(Settings(storage_dir=root, signing_key_file=key)) as yard:
        for name in ("good", "damaged", *(name for name in ATTACKS if name != "planted")):
            yard.train(train_request(name, C=2.0 if name == "good" else 1.0))
        ids = {model.name: model.model_id for model in yard.list_models().models}
    documents = {name: document_of(root, model_id) for name, model_id in ids.items()}
    for attack in ATTACKS.values():
        attack(root, documents, trace)
    for name in ATTACKS:
        put_document(root, documents[name]["metadata"]["model_id"], documents[name])
    (root / "artifacts" / ids["damaged"] / "model.pkl").write_bytes(payload(trace))
    port = doors.free_port()
    command = [sys.executable, "-m", "modelyard", "rest"]
    settings = {"MODELYARD_SIGNING_KEY_FILE": str(key), "MODELYARD_REST_PORT": str(port)}
    with doors.serving(command, root, **settings) as process:
        url = f"http://127.0.0.1:{port}"
        doors.wait_until_healthy(url)
        with RestClient(url) as client:
            yield Attacked(root, trace, process, client)


def train_request(name: str, **hyperparams: float) -> TrainRequest:
    return TrainRequest(
        model_class_key="logistic_regression", X=X, y=Y, name=name, hyperparams=hyperparams, evaluation=NO_EVALUATION
    )


def test_a_signed_model_answers(attacked: Attacked) -> None:
    assert len(attacked.client.predict(PredictRequest(model_id="good", X=X)).predictions) == len(X)
    assert attacked.client.train(train_request("later")).version == 1
    assert attacked.client.get_artifact("later")


@pytest.mark.parametrize("name", ATTACKS)
def test_no_verb_uses_a_model_that_is_not_what_was_signed(name: str, attacked: Attacked) -> None:
    client = attacked.client
    model = client.get_model(name)
    verbs: tuple[Callable[[], object], ...] = (
        lambda: client.predict(PredictRequest(model_id=name, X=X[:1])),
        lambda: client.predict(PredictRequest(model_id=name, X=X)),
        lambda: client.explain(ExplainRequest(model_id=name, X=X[:1])),
        lambda: client.evaluate(EvaluateRequest(model_ids=[name], X=X, y=Y)),
        lambda: client.retrain(RetrainRequest(model_id=name, X=X, y=Y)),
        lambda: client.set_decision(name, Decision(rule="threshold", threshold=0.5)),
        lambda: client.get_artifact(name),
    )
    for verb in verbs:
        with pytest.raises(Unsigned, match=f"{model.model_id} .*{name}:.*`modelyard sign {model.model_id}`"):
            verb()
    assert client.get_report(name).metrics == model.metrics, "people look at it before they sign"
    assert not attacked.trace.exists()


def test_a_file_that_is_not_the_one_that_was_signed_is_not_unpickled(attacked: Attacked) -> None:
    for verb in (
        lambda: attacked.client.predict(PredictRequest(model_id="damaged", X=X)),
        lambda: attacked.client.get_artifact("damaged"),
    ):
        with pytest.raises(DataLoss):
            verb()
    assert not attacked.trace.exists()


def test_the_log_and_health_tell_of_models_that_are_not_signed(attacked: Attacked) -> None:
    said = "1 model is not signed, so not used: see `modelyard sign`"
    log = attacked.root.with_suffix(".log")
    line = wait_until(lambda: next((line for line in log.read_text().splitlines() if said in line), None))
    assert "WARNING" in line
    with pytest.raises(Unsigned):
        attacked.client.predict(PredictRequest(model_id="forged", X=X))
    storage = attacked.client.health().storage or ""
    assert said in storage
    assert "forged:1) is not what was signed" in storage


@pytest.mark.parametrize("key", [None, b"", b"k" * 44], ids=["without HMAC", "of no key", "of the signing key"])
def test_a_forged_ending_in_the_spool_is_not_published(key: bytes | None, attacked: Attacked) -> None:
    """Whoever forges an ending kills the run, since the run would write its own."""
    job = run_for_ever(attacked)
    spool = attacked.root / "jobs" / job.job_id
    said = orjson.dumps({"finished": finished(attacked, spool)})
    (spool / "ending.json").write_bytes(said if key is None else mac(key, said).encode() + b"\n" + said)
    for pid in processes.runs(attacked.process.pid):
        kill(pid, signal.SIGKILL)
    ended = wait_until(lambda: found if (found := attacked.client.get_job(job.job_id)).ended else None)
    assert ended.status == "failed"
    assert ended.error is not None
    assert "HMAC" in ended.error.detail
    with pytest.raises(ModelNotFound):
        attacked.client.get_model("from-the-spool")
    assert not attacked.trace.exists()


def run_for_ever(attacked: Attacked) -> Job:
    request = TrainRequest(
        model_class_key="catboost_classifier",
        X=X,
        y=Y,
        name="endless",
        hyperparams={"iterations": 1_000_000},
        evaluation=NO_EVALUATION,
    )
    job = attacked.client.submit_training(request)
    return wait_until(lambda: found if (found := attacked.client.get_job(job.job_id)).progress.step else None)


def finished(attacked: Attacked, spool: Path) -> dict[str, Any]:
    """Write the files of a model into a spool, and return what a run would say of it."""
    good = document_of(attacked.root, attacked.client.get_model("good").model_id)
    result = spool / "result"
    shutil.copytree(attacked.root / "artifacts" / good["metadata"]["model_id"], result)
    (result / "model.pkl").write_bytes(payload(attacked.trace))
    files = {name: stored((result / name).read_bytes()) for name in good["files"]}
    return {
        "name": "from-the-spool",
        "description": {name: good["metadata"][name] for name in ModelDescription.model_fields},
        "files": {name: {"sha256": file.sha256, "bytes": file.bytes} for name, file in files.items()},
        "decision": MOST_PROBABLE.model_dump(),
    }
