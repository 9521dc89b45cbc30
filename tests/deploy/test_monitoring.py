"""What is handed out for Prometheus and Grafana, tried with a real Prometheus that has scraped real servers."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from modelyard.errors import ModelNotFound
from modelyard.grpc_server.client import GrpcClient
from modelyard.rest_api.client import RestClient
from modelyard.schemas import PredictRequest
from tests import doors
from tests.access.callers import make_key
from tests.test_metrics_served import TABLE
from tests.waiting import PATIENCE_S, wait_until

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "deploy" / "prometheus.yml"
ALERTS = ROOT / "deploy" / "alerts.yml"
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy" / "grafana" / "dashboards" / "modelyard.json").read_text())
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.monitoring.yml").read_text())
RULES: dict[str, str] = {
    rule["alert"]: rule["expr"] for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]
}
QUERIES: list[str] = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
LISTED = re.compile(r"^\| `([a-z_]+)(?:\{([a-z,]+)\})?` \|", re.MULTILINE)


@pytest.fixture(scope="module", autouse=True)
def _tools() -> None:
    if not (shutil.which("prometheus") and shutil.which("promtool")):
        pytest.skip("needs prometheus")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[str], Path, str]]:
    """Two REST workers and a gRPC server that ask for keys: their targets, a reader's key, and REST's text."""
    folder = tmp_path_factory.mktemp("monitored")
    yard, key_file = folder / "yard", folder / "prometheus.key"
    with doors.core(yard) as core:
        admin = make_key(core, "admin", "admin")
        key_file.write_text(make_key(core, "prometheus", "reader") + "\n")
    rest, metrics = doors.free_port(), doors.free_port()
    workers = [sys.executable, "-m", "modelyard", "rest", "--workers", "2"]
    with (
        doors.serving(workers, yard, MODELYARD_REST_PORT=str(rest), MODELYARD_AUTH="keys"),
        doors.grpc_server(yard, MODELYARD_METRICS_PORT=str(metrics), MODELYARD_AUTH="keys") as target,
    ):
        url = f"http://127.0.0.1:{rest}"
        doors.wait_until_healthy(url)
        with RestClient(url, key=admin) as by_rest, GrpcClient(target, key=admin) as by_grpc:
            by_rest.train(TABLE)
            for client in (by_rest, by_grpc):
                client.predict(PredictRequest(model_id="credit", X=[{"age": None, "job": "baker"}]))
                with pytest.raises(ModelNotFound):
                    client.get_model("nothing")
        headers = {"Authorization": f"Bearer {key_file.read_text().strip()}"}
        with httpx.Client(headers=headers) as scraper:
            text = wait_until(lambda: with_rows(scraper.get(f"{url}/metrics").text))
        yield [f"127.0.0.1:{rest}", f"127.0.0.1:{metrics}"], key_file, text


def with_rows(text: str) -> str:
    """Return a text that tells of predicted rows, which are counted a little later; otherwise nothing."""
    return text if "modelyard_predicted_rows_total{" in text else ""


@pytest.fixture(scope="module")
def prometheus(served: tuple[list[str], Path, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a Prometheus that runs by our own file, a little sooner, and has scraped both servers often."""
    targets, key_file, _ = served
    folder = tmp_path_factory.mktemp("prometheus")
    text = CONFIG.read_text().replace("#authorization:", "authorization:").replace("15s", "200ms")
    text = text.replace("/run/secrets/prometheus_key", str(key_file)).replace(
        '"api:8000", "grpc:9464"', f"{targets}"[1:-1]
    )
    (folder / "prometheus.yml").write_text(text)
    shutil.copy(ALERTS, folder)
    with running(folder) as client:
        wait_until(lambda: len(asked(client, 'count_over_time(up{job="modelyard"}[1m]) > 5')) == 2)
        assert [found["value"][1] for found in asked(client, 'up{job="modelyard"}')] == ["1", "1"]
        yield client


@contextmanager
def running(folder: Path) -> Iterator[httpx.Client]:
    port = doors.free_port()
    command = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log, cwd=folder
        )
    try:
        doors.wait_until_healthy(f"http://127.0.0.1:{port}", "/-/ready")
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S) as client:
            yield client
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def asked(client: httpx.Client, query: str) -> list[dict[str, Any]]:
    answer = client.get("/api/v1/query", params={"query": query}).json()
    assert answer["status"] == "success", answer
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found


def promtool(*arguments: str, said: bytes | None = None) -> None:
    done = subprocess.run(["promtool", *arguments], input=said, capture_output=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    assert said is None or not done.stdout + done.stderr


def test_prometheus_takes_our_metrics_our_file_and_our_alerts(served: tuple[list[str], Path, str]) -> None:
    promtool("check", "metrics", said=served[2].encode())
    promtool("check", "config", str(CONFIG))
    promtool("check", "rules", str(ALERTS))


def test_every_alert_rings_when_it_should_and_at_no_other_time() -> None:
    promtool("test", "rules", str(ROOT / "tests" / "deploy" / "alerts_test.yml"))
    cases = [
        case
        for test in yaml.safe_load((ROOT / "tests" / "deploy" / "alerts_test.yml").read_text())["tests"]
        for case in test["alert_rule_test"]
    ]
    assert sorted(case["alertname"] for case in cases if case["exp_alerts"]) == sorted(RULES)
    assert sorted(case["alertname"] for case in cases if not case["exp_alerts"]) == sorted(RULES)


@pytest.mark.parametrize("query", QUERIES)
def test_every_query_of_the_dashboard_has_data(prometheus: httpx.Client, query: str) -> None:
    query = query.replace("$__rate_interval", "1m").replace("$name", ".*")
    assert "$" not in query
    wait_until(lambda: asked(prometheus, query))


def test_the_models_that_the_dashboard_offers_are_found(prometheus: httpx.Client) -> None:
    (offered,) = [found for found in DASHBOARD["templating"]["list"] if found["name"] == "name"]
    series, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", offered["definition"]).groups()  # type: ignore[union-attr]
    assert offered["query"]["query"] == offered["definition"]
    values = prometheus.get(f"/api/v1/label/{label}/values", params={"match[]": series}).json()
    assert values["data"] == ["credit"]


@pytest.mark.parametrize("alert", RULES)
def test_every_alert_is_evaluated_without_an_error(prometheus: httpx.Client, alert: str) -> None:
    def health() -> str:
        groups = prometheus.get("/api/v1/rules").json()["data"]["groups"]
        found = {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}
        return "" if found[alert] == "unknown" else str(found[alert])

    assert wait_until(health) == "ok"
    asked(prometheus, RULES[alert])


def test_queries_and_alerts_name_metrics_that_there_are(served: tuple[list[str], Path, str]) -> None:
    known = set(re.findall(r"^(\w+)[{ ]", served[2], re.MULTILINE)) | {"up"}
    for query in [*QUERIES, *RULES.values()]:
        named = set(re.findall(r"\b(?:modelyard|process)_\w+", re.sub(r'"[^"]*"', "", query)))
        assert named <= known, query


def test_the_document_lists_every_metric_with_its_labels(served: tuple[list[str], Path, str]) -> None:
    listed = {
        name: set(filter(None, of.split(",")))
        for name, of in LISTED.findall((ROOT / "docs" / "metrics.md").read_text())
    }
    text = served[2]
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE))
    told: dict[str, set[str]] = {name: set() for name in kinds}
    for name, labels in re.findall(r"^(\w+)\{(.*)\} ", text, re.MULTILINE):
        base = name if name in kinds else re.sub(r"_(bucket|count|sum)$", "", name)
        told[base] |= set(re.findall(r'(\w+)="', labels)) - {"le"}
    assert listed == told


def test_the_compose_file_joins_what_prometheus_asks_for() -> None:
    services = COMPOSE["services"]
    targets = yaml.safe_load(CONFIG.read_text())["scrape_configs"][0]["static_configs"][0]["targets"]
    assert targets == ["api:8000", f"grpc:{services['grpc']['environment']['MODELYARD_METRICS_PORT']}"]
    for name in ("prometheus", "grafana"):
        assert [port.startswith("${PUBLISH_ADDRESS:-127.0.0.1}:") for port in services[name]["ports"]] == [True]
        for volume in services[name]["volumes"]:
            if volume.startswith("./"):
                assert (ROOT / volume.split(":")[0]).exists(), volume
    for file in (ROOT / "deploy" / "grafana" / "provisioning").glob("*/*.yml"):
        assert yaml.safe_load(file.read_text())["apiVersion"] == 1
