"""The image and the compose file do what docs/deploy.md says, really built and run; a client outside looks on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

import modelyard
from modelyard.errors import Unauthenticated
from modelyard.grpc_server.client import GrpcClient
from modelyard.rest_api.client import RestClient
from modelyard.schemas import Job, ModelQuery, PredictRequest, TrainRequest
from tests import containers, dashboards
from tests.containers import Project, docker, inspected
from tests.waiting import wait_until

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1200)]  # it may build the image

SIZE_MB = 850
STOP_GRACE_S = 30
KILLED = 128 + 9
"""The exit code of a program that SIGKILL ended."""
COMMANDS = ("gcc", "cc", "c++", "ld", "make", "git", "curl", "wget")

_ROWS = [[n % 7, n % 11, n % 13] for n in range(4000)]
LONG_TRAINING = TrainRequest(
    model_class_key="catboost_classifier",
    X=_ROWS,
    y=["odd" if (a * b + c) % 2 else "even" for a, b, c in _ROWS],
    hyperparams={"iterations": 5000, "depth": 10},
)
EXCLUDED = re.findall(r"^\w+", (containers.ROOT / "requirements" / "image-excludes.txt").read_text(), re.MULTILINE)
PENGUIN = ["Torgersen", 39.1, 18.7, 181, 3750, "male", 2007]


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    containers.require_engine()
    with containers.image() as image:
        yield image


@pytest.fixture(scope="module")
def system(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with containers.project(image, tmp_path_factory.mktemp("project")) as project:
        yield project


@pytest.fixture
def healthy(system: Project) -> Project:
    """The system with everything up, whatever the test before has done to it."""
    system.up()
    return system


@pytest.fixture(scope="module")
def birds(system: Project, penguins_csv: Path) -> str:
    """The id of a model that was trained over REST."""
    with system.rest() as client:
        request = TrainRequest(model_class_key="catboost_classifier", X=penguins_csv, target="species", name="birds")
        return client.train(request.model_copy(update={"hyperparams": {"iterations": 30}})).model_id


def progress_of(client: RestClient | GrpcClient, job: Job) -> int:
    return client.get_job(job.job_id).progress.step or 0


def signal_servers(container: str, signal: str) -> None:
    """Send a signal to what runs in a container beside its first process, which engines protect."""
    code = f"""
import os, pathlib, signal
for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
    if int(path.parent.name) not in (1, os.getpid()) and b"modelyard" in path.read_bytes():
        os.kill(int(path.parent.name), signal.{signal})
"""
    done = containers.run("docker", "exec", container, "python", "-c", code, check=False)
    # A container that has lost its server may go down before the program that killed it has ended.
    assert done.returncode == 0 or (signal == "SIGKILL" and done.returncode == KILLED), done.stderr


def has_restarted(container: str) -> bool:
    return inspected(container, "{{.RestartCount}}") == "1"


def in_image(image: str, code: str) -> str:
    return docker("run", "--rm", "--network", "none", "--entrypoint", "python", image, "-c", code)


def test_the_image_is_what_it_should_be(image: str) -> None:
    config = json.loads(inspected(image, "{{json .Config}}"))
    assert config["User"] not in {"", "0", "root"}
    assert config["StopSignal"] == "SIGTERM"
    assert config["Healthcheck"]["Test"] == ["CMD", "modelyard", "health"]
    assert config["Labels"]["org.opencontainers.image.version"] == modelyard.__version__
    assert set(config["ExposedPorts"]) == {f"{port}/tcp" for port in containers.PORTS.values()}
    assert int(inspected(image, "{{.Size}}")) / 1e6 < SIZE_MB


def test_the_image_holds_nothing_that_it_does_not_need(image: str) -> None:
    code = f"""
import importlib.util, pathlib, shutil
packages = pathlib.Path(importlib.util.find_spec("modelyard").origin).parents[1]
print([name for name in {COMMANDS} if shutil.which(name)])
print([name for name in {(*EXCLUDED, "hatchling", "pip")} if (packages / name).exists()])
print([str(path) for path in packages.rglob("tests") if path.is_dir()])
print([str(path) for path in map(pathlib.Path, ("/build", "/src", "/tmp/*")) if path.exists()])
"""
    assert in_image(image, code).splitlines() == ["[]"] * 4


def test_every_module_can_be_imported_in_the_image(image: str) -> None:
    code = """
import importlib, pkgutil, sys, modelyard
names = [one.name for one in pkgutil.walk_packages(modelyard.__path__, "modelyard.")]
for name in names:
    if name not in ("modelyard.__main__", "modelyard.dashboard.entry.app"):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            assert error.name == "ray", name  # which another image has
print(len(names), "clearml" in sys.modules)
import clearml, lightgbm, pyarrow.parquet, pyarrow.dataset, sklearn.ensemble, scipy.stats, pandas, altair
"""
    assert int(in_image(image, code).split()[0]) > 100


def test_limits_and_rights_are_in_force(system: Project) -> None:
    for service, memory in (("api", 4), ("grpc", 4), ("dashboard", 2)):
        limits = json.loads(system.asked(service, "{{json .HostConfig}}"))
        assert limits["Memory"] == memory * 2**30
        assert limits["PidsLimit"] == 4096
        assert limits["ReadonlyRootfs"]
        assert limits["CapDrop"] == ["ALL"]
        assert limits["RestartPolicy"]["Name"] == "unless-stopped"
        assert system.asked(service, "{{.Config.StopTimeout}}") == str(STOP_GRACE_S)
        ports = json.loads(system.asked(service, "{{json .NetworkSettings.Ports}}"))
        assert [one["HostIp"] for bound in ports.values() if bound for one in bound] == ["127.0.0.1"]
        mounts = json.loads(system.asked(service, "{{json .Mounts}}"))
        assert [one["Destination"] for one in mounts] == ([] if service == "dashboard" else ["/data"])


def test_what_rest_trains_grpc_lists_and_predicts(healthy: Project, birds: str) -> None:
    with healthy.grpc() as client:
        assert birds in [model.model_id for model in client.list_models(ModelQuery(name="birds")).models]
        assert client.predict(PredictRequest(model_id="birds", X=[PENGUIN])).predictions == ["Adelie"]
    logged = healthy.compose("logs", "--no-log-prefix", "api")
    assert "Torgersen" not in logged


def test_the_dashboard_shows_it_to_a_browser(healthy: Project, birds: str) -> None:
    with dashboards.chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 900}, locale="en-US")
        page.goto(f"http://{healthy.address('dashboard')}/model?id={birds}")
        expect(page.get_by_role("heading", level=1)).to_have_text("birds · v1")
        expect(page.locator("canvas, svg.marks").first).to_be_visible()  # a chart
        page.get_by_text("gRPC", exact=True).click()
        expect(page.get_by_text("grpc:50051")).to_be_visible()
        expect(page.get_by_role("heading", level=1)).to_have_text("birds · v1")


def test_a_browser_is_not_turned_against_it(healthy: Project) -> None:
    rest, dashboard = (f"http://{healthy.address(service)}" for service in ("api", "dashboard"))
    for name in ("evil.example", "evil.example:8000", "localhost.evil.example", "api.evil.example"):
        answer = httpx.get(f"{rest}/models", headers={"Host": name})
        assert answer.status_code == 403, name
        assert "MODELYARD_ALLOWED_HOSTS" in answer.json()["detail"]
    assert httpx.get(f"{rest}/models", headers={"Host": "api:8000"}).status_code == 200
    assert httpx.get(f"{rest}/models", headers={"Origin": "http://evil.example"}).status_code == 403
    handshake = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    handshake["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=="
    for name, status in (("evil.example", 403), ("localhost", 101)):
        with httpx.stream("GET", f"{dashboard}/_stcore/stream", headers={**handshake, "Host": name}) as answer:
            assert answer.status_code == status, name


def test_a_job_is_cancelled_from_the_other_container(healthy: Project) -> None:
    with healthy.rest() as rest, healthy.grpc() as grpc:
        job = rest.submit_training(LONG_TRAINING)
        wait_until(lambda: progress_of(rest, job) > 0)
        grpc.cancel_job(job.job_id)
        wait_until(lambda: rest.get_job(job.job_id).status == "cancelled")


def test_servers_that_are_killed_come_back_with_all_data(healthy: Project, birds: str) -> None:
    ids = {service: healthy.container(service) for service in containers.PORTS}
    for container in ids.values():
        signal_servers(container, "SIGKILL")
    for service, container in ids.items():
        wait_until(partial(has_restarted, container))
        healthy.wait_until_healthy(service)
    with healthy.rest() as rest, healthy.grpc() as grpc:
        assert rest.get_model(birds) == grpc.get_model(birds)
    assert httpx.get(f"http://{healthy.address('dashboard')}/_stcore/health").status_code == 200


def test_servers_that_hang_are_found_unhealthy(healthy: Project) -> None:
    ids = [healthy.container(service) for service in containers.PORTS]
    for container in ids:
        assert docker("exec", container, "modelyard", "health").splitlines()[1].endswith("ok")
        signal_servers(container, "SIGSTOP")
    ask = ("docker", "exec", "{}", "modelyard", "health")
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda one: containers.run(*(word.format(one) for word in ask), check=False), ids))
    for container, answer in zip(ids, answers, strict=True):
        signal_servers(container, "SIGCONT")
        assert answer.returncode == 5
        assert re.search("no answer|Deadline", answer.stderr), answer.stderr


def test_they_stop_within_the_grace_period_with_a_training_running_and_lose_nothing(
    healthy: Project, birds: str
) -> None:
    with healthy.grpc() as client:
        job = client.submit_training(LONG_TRAINING)
        wait_until(lambda: progress_of(client, job) > 0)
        before = client.list_models().models
    healthy.compose("stop")  # what outlasts the grace period is killed, and its exit code says so
    assert [healthy.asked(service, "{{.State.ExitCode}}") for service in containers.PORTS] == ["0", "0", "0"]
    healthy.compose("down")
    healthy.up()
    with healthy.rest() as rest, healthy.grpc() as grpc:
        assert rest.get_job(job.job_id).status == "interrupted"
        assert birds in [model.model_id for model in before]
        assert rest.list_models().models == grpc.list_models().models == before
        assert rest.predict(PredictRequest(model_id="birds", X=[PENGUIN])).predictions == ["Adelie"]


def test_it_runs_read_only_as_a_strangers_uid_and_with_keys(image: str, penguins_csv: Path) -> None:
    name = f"{containers.NAME}-stranger"
    publish = [word for port in containers.PORTS.values() for word in ("--publish", f"127.0.0.1::{port}")]
    docker(
        "run", "--detach", "--name", name, "--user", "12345", "--read-only", "--tmpfs", "/tmp", "--init",
        "--cap-drop", "ALL", "--health-interval", f"{containers.HEALTH_INTERVAL_S}s",
        "--env", "MODELYARD_AUTH=keys", "--volume", f"{name}:/data", *publish, image,
    )  # fmt: skip
    try:
        containers.wait_until_healthy(name)
        rest, grpc, dashboard = (docker("port", name, str(port)) for port in containers.PORTS.values())
        made = docker("exec", name, "modelyard", "keys", "create", "ops", "--role", "admin", "--json")
        key = json.loads(made.splitlines()[-1])["key"]
        with RestClient(f"http://{rest}") as stranger, pytest.raises(Unauthenticated, match="a key is needed"):
            stranger.list_models()
        with RestClient(f"http://{rest}", key=key) as client:
            request = TrainRequest(model_class_key="logistic_regression", X=penguins_csv, target="species", name="b")
            client.train(request)
        with GrpcClient(grpc, key=key) as client_too:
            assert client_too.predict(PredictRequest(model_id="b", X=[PENGUIN])).predictions == ["Adelie"]
        assert httpx.get(f"http://{dashboard}/_stcore/health").status_code == 200
        assert docker("exec", name, "id", "--user") == "12345"
        doctor = json.loads(docker("exec", name, "modelyard", "doctor", "--json"))
        assert doctor
        assert re.sub(r"^[AC] /usr(/sbin(/docker-init)?)?\n?", "", docker("diff", name), flags=re.MULTILINE) == ""
    finally:
        docker("rm", "--force", "--volumes", name)
        docker("volume", "rm", name)


@pytest.mark.parametrize("server", ["rest", "grpc", "dashboard", "up"])
def test_it_starts_no_server_until_somebody_says_who_may_call(image: str, server: str) -> None:
    ended = containers.run("docker", "run", "--rm", "--network", "none", image, server, check=False)
    assert ended.returncode != 0
    assert "MODELYARD_AUTH=keys" in ended.stderr
    assert "MODELYARD_AUTH=none" in ended.stderr


def test_the_compose_file_of_keys_gives_the_servers_the_first_one() -> None:
    containers.require_engine()
    files = ("--file", "docker-compose.yml", "--file", "docker-compose.keys.yml")
    services = json.loads(docker("compose", *files, "config", "--format", "json"))["services"]
    for service in ("api", "grpc"):
        assert services[service]["environment"]["MODELYARD_ADMIN_KEY_FILE"] == "/run/secrets/admin_key"
        assert [secret["source"] for secret in services[service]["secrets"]] == ["admin_key"]
    assert {service["environment"]["MODELYARD_AUTH"] for service in services.values()} == {"keys"}
    assert "secrets" not in services["dashboard"]


def test_a_folder_that_cannot_be_written_is_said(image: str) -> None:
    ended = containers.run(
        "docker", "run", "--rm", "--user", "12345:12345", "--network", "none", "--env", "MODELYARD_AUTH=none", image,
        "rest", check=False,
    )  # fmt: skip
    assert ended.returncode == 5
    assert "/data" in ended.stderr
    assert "Permission denied" in ended.stderr
