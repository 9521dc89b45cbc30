"""The server keeps what its OpenAPI document says, whatever it is sent, by an administrator or by nobody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests import doors
from tests.access.callers import make_key
from tests.waiting import PATIENCE_S

Operation = schemathesis.schemas.APIOperation[Any, Any, Any, Any]
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("openapi") / "models_storage"


@pytest.fixture(scope="module")
def headers(folder: Path) -> dict[str, str]:
    """The headers of an administrator."""
    with doors.core(folder) as yard:
        return {"Host": "localhost", "Authorization": f"Bearer {make_key(yard, 'admin', 'admin')}"}


@pytest.fixture(scope="module")
def operations(folder: Path, headers: dict[str, str]) -> Iterator[list[Operation]]:
    assert headers
    with doors.rest_thread(folder, queue_limit=3, auth="keys") as url:
        schema = schemathesis.openapi.from_url(url + "/openapi.json")
        yield [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_answer_is_as_documented(
    operations: list[Operation], headers: dict[str, str], mode: GenerationMode
) -> None:
    assert len(operations) >= 14
    for operation in operations:
        if mode is GenerationMode.NEGATIVE and not [*operation.query, *operation.body]:
            continue  # any text is a legal path: nothing wrong can be sent

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(max_examples=settings().max_examples // 5, deadline=None, suppress_health_check=list(HealthCheck))
        def keeps_its_word(case: schemathesis.Case[Any]) -> None:
            answer = case.call_and_validate(checks=CHECKS, headers=headers, timeout=PATIENCE_S)
            assert answer.status_code not in (401, 403)

        keeps_its_word()


def test_every_refusal_of_a_stranger_is_as_documented(operations: list[Operation]) -> None:
    for operation in operations:

        @given(case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
        @settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
        def keeps_its_word(case: schemathesis.Case[Any]) -> None:
            answer = case.call_and_validate(checks=CHECKS, headers={"Host": "localhost"}, timeout=PATIENCE_S)
            assert (answer.status_code == 401) == ("health" not in case.path)

        keeps_its_word()


def test_no_field_of_a_body_has_a_default_that_makes_generators_demand_it(operations: list[Operation]) -> None:
    schemas = operations[0].schema.raw_schema["components"]["schemas"]
    for name in ("TrainRequest", "RetrainRequest", "PredictRequest", "ExplainRequest", "Evaluation"):
        fields = schemas[name]["properties"]
        assert not [field for field, schema in fields.items() if "default" in schema]
        assert set(schemas[name].get("required", ())) <= {"model_class_key", "model_id", "X"}
    assert schemas["Evaluation"]["properties"]["fraction"]["description"] == "default: 0.2"
