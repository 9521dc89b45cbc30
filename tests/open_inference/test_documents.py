"""Ours is the protocol as its clients' own documents describe it: field for field, and answer for answer."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import httpx
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from jsonschema_rs import Draft202012Validator

from modelyard.grpc_server.pb import open_inference_pb2 as pb
from tests.client_environments import Client
from tests.open_inference.served import Answers, Served, needs_mlserver
from tests.open_inference.test_errors import tensors
from tests.waiting import PATIENCE_S


def fields_of(messages: Any, within: str = "") -> dict[tuple[str, int], tuple[str, int, bool]]:
    """Return the name, type and repetition of each field, by its message and number."""
    found = {}
    for message in messages:
        name = f"{within}{message.name}"
        for field in message.field:
            found[name, field.number] = (field.name, field.type, field.label == field.LABEL_REPEATED)
        found |= fields_of(message.nested_type, f"{name}.")
    return found


@pytest.mark.parametrize(
    ("client", "beyond"),
    [
        ("kserve", set()),
        ("triton", set()),
        pytest.param("mlserver", {("ModelMetadataResponse.TensorMetadata", 4)}, marks=needs_mlserver),
    ],
)
def test_every_message_is_the_clients_own_field_for_field(
    answers: Answers, client: Client, beyond: set[tuple[str, int]]
) -> None:
    theirs = descriptor_pb2.FileDescriptorProto.FromString(bytes.fromhex(answers(client)["descriptor"]))
    ours = descriptor_pb2.FileDescriptorProto.FromString(pb.DESCRIPTOR.serialized_pb)
    assert theirs.package == ours.package
    their_fields, our_fields = fields_of(theirs.message_type), fields_of(ours.message_type)
    known = {message for message, _ in our_fields}
    assert {place for place in their_fields if place[0] in known} - our_fields.keys() == beyond
    shared = our_fields.keys() & their_fields.keys()
    assert len(shared) > 40
    assert {place: our_fields[place] for place in shared} == {place: their_fields[place] for place in shared}
    our_methods, their_methods = (
        {(service.name, one.name, one.input_type, one.output_type) for one in service.method}
        for service in (*ours.service, *theirs.service)
    )
    assert len(our_methods) == 6
    assert our_methods <= their_methods


@needs_mlserver
def test_every_answer_over_rest_is_as_the_protocols_openapi_has_it(served: Served, answers: Answers) -> None:
    document = answers("mlserver")["openapi"]
    components = json.loads(json.dumps(document["components"]).replace('"bytes"', '"string"'))

    def check(schema: str, found: Any) -> None:
        Draft202012Validator({"$ref": f"#/components/schemas/{schema}", "components": components}).validate(found)

    with httpx.Client(base_url=f"{served.rest}/v2", timeout=PATIENCE_S) as http:
        check("MetadataServerResponse", http.get("").json())
        for model in ("credit", "price", "flags", "counts"):
            check("MetadataModelResponse", http.get(f"/models/{model}").json())
        asked = {"inputs": tensors(), "outputs": [{"name": "predict"}, {"name": "probabilities"}], "id": "x"}
        check("InferenceRequest", asked)
        check("InferenceResponse", http.post("/models/credit/infer", json=asked).json())
        check("InferenceErrorResponse", http.post("/models/nobody/infer", json=asked).json())
        check("MetadataModelErrorResponse", http.get("/models/nobody").json())
    ours = httpx.get(f"{served.rest}/openapi.json", timeout=PATIENCE_S).json()["paths"]
    theirs = {
        path.replace("model_name", "name").replace("model_version", "version"): operations
        for path, operations in document["paths"].items()
        if not path.endswith(("_stream", "/generate"))  # those of language models
    }
    assert theirs.keys() == {path for path in ours if path.startswith("/v2") and path != "/v2/"}
    for path, operations in theirs.items():
        assert ours[path].keys() == operations.keys() - {"parameters", "head", "options"}


@pytest.mark.parametrize("ours_first", [True, False])
def test_a_process_may_hold_a_clients_messages_beside_ours(answers: Answers, ours_first: bool) -> None:
    theirs = bytes.fromhex(answers("kserve")["descriptor"])
    script = [
        "from modelyard.grpc_server.pb import open_inference_pb2 as ours",
        f"from google.protobuf import descriptor_pool; descriptor_pool.Default().AddSerializedFile({theirs!r})",
    ]
    last = "assert ours.ModelInferRequest(model_name='a').SerializeToString() == b'\\n\\x01a'"
    lines = [*(script if ours_first else reversed(script)), last]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert pb.DESCRIPTOR.pool is not descriptor_pool.Default()
