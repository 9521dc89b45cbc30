"""The compose files, .env.example and the settings name the same things; what needs an engine is in test_containers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import modelyard
from modelyard.cli.ray_head import SETTINGS
from modelyard.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = (ROOT / "docker-compose.yml").read_text()
CLEARML = (ROOT / "docker-compose.clearml.yml").read_text()
TLS = (ROOT / "docker-compose.tls.yml").read_text()
KEYS = (ROOT / "docker-compose.keys.yml").read_text()
MONITORING = (ROOT / "docker-compose.monitoring.yml").read_text()
SCALE = (ROOT / "docker-compose.scale.yml").read_text()
RAY = (ROOT / "docker-compose.ray.yml").read_text()
EXAMPLE = (ROOT / ".env.example").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()

OFFERED = set(re.findall(r"^#([A-Z0-9_]+)=", EXAMPLE, re.MULTILINE))
WHOLE = COMPOSE + CLEARML + TLS + KEYS + MONITORING + SCALE + RAY
INTERPOLATED = set(re.findall(r"\$\{([A-Z0-9_]+)", WHOLE))
PASSED_ON = set(re.findall(r"^ +([A-Z0-9_]+):$", WHOLE, re.MULTILINE))
_INSIDE = "HOST STORAGE_DIR REST_PORT GRPC_PORT DASHBOARD_PORT DASHBOARD_REST_URL DASHBOARD_GRPC_TARGET"
FIXED = {f"MODELYARD_{name}" for name in _INSIDE.split()}
"""What is so inside the containers, whatever the machine outside sets."""


def test_every_setting_can_be_set_from_outside_or_is_fixed_inside() -> None:
    settings = {f"MODELYARD_{name.upper()}" for name in Settings.model_fields}
    assert settings - FIXED - INTERPOLATED - PASSED_ON == set()
    assert settings >= FIXED


def test_the_example_offers_what_the_compose_files_read_and_nothing_else() -> None:
    assert OFFERED - {"COMPOSE_FILE"} == INTERPOLATED | PASSED_ON


def test_the_examples_defaults_are_the_real_ones() -> None:
    offered = dict(re.findall(r"^#([A-Z0-9_]+)=(.*)$", EXAMPLE, re.MULTILINE))
    for variable, default in re.findall(r"\$\{([A-Z0-9_]+):-([^}]*)\}", WHOLE):
        assert variable == "CLEARML_WEB_HOST" or offered[variable] == default, variable
    examples = {"allowed_origins", "train_workers", "deleted_retention_days", "allowed_hosts", "root_path", "tracking"}
    examples |= {"trusted_proxies", "tls_cert_file", "tls_key_file", "tls_client_ca_file", "signing_key_file"}
    examples |= {"auth", "admin_key_file"}  # the compose file says `none`, because it publishes on this machine alone
    examples |= {"protected_aliases", "default_alias", "database_url", "artifacts_url", "s3_endpoint"}
    examples |= {"runner", "ray_address"}
    for name, field in Settings.model_fields.items():
        variable = f"MODELYARD_{name.upper()}"
        if variable in offered and name not in examples:
            read = Settings.model_validate({name: offered[variable]})
            assert getattr(read, name) == field.get_default(call_default_factory=True, validated_data={}), name


def test_all_lines_of_the_example_together_are_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in re.findall(r"^#(MODELYARD_[A-Z0-9_]+)=(.*)$", EXAMPLE, re.MULTILINE):
        monkeypatch.setenv(variable, value)
    assert Settings().train_workers == 2


def test_the_files_are_anybodys() -> None:
    for text in (DOCKERFILE, COMPOSE, CLEARML, TLS, KEYS):
        images = re.findall(r"^(?:FROM|\s*image:) +(\S+)", text, re.MULTILINE)
        assert all("/" not in image for image in images)
        assert "://" not in re.sub(r"(https?|grpcs)://(apiserver|fileserver|localhost|api|grpc)\b", "", text)


def test_ray_is_told_the_same_in_containers_by_the_docs_and_by_modelyard_up() -> None:
    told = {name: value for name, value in SETTINGS.items() if re.search("health_check|reconnect|niceness", name)}
    assert len(told) == 6
    page = (ROOT / "docs" / "scale.md").read_text()
    for name, value in told.items():
        assert f'{name}: "{value}"' in RAY
        assert f"{name}={value}" in page


def test_the_label_says_the_version() -> None:
    assert f"ARG VERSION={modelyard.__version__}\n" in DOCKERFILE


def test_the_image_leaves_it_to_people_who_may_call() -> None:
    assert "MODELYARD_AUTH" not in DOCKERFILE
    assert "  MODELYARD_AUTH: ${MODELYARD_AUTH:-none}\n" in COMPOSE
    published = re.findall(r"^ +ports: (.*)$", COMPOSE, re.MULTILINE)
    assert len(published) == 3
    assert all(ports.startswith('["${PUBLISH_ADDRESS:-127.0.0.1}:') for ports in published)
