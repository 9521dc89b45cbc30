"""Who may what, written down once more as the design has it: a route or a method that is missing here fails."""

from __future__ import annotations

from modelyard.schemas import Role

OPEN = None

ROUTES: dict[str, Role | None] = {
    "GET /": OPEN,
    "GET /docs": OPEN,
    "GET /docs/{name}": OPEN,
    "GET /openapi.json": OPEN,
    "GET /health": OPEN,
    "GET /health/live": OPEN,
    "GET /health/ready": OPEN,
    "GET /v2/health/live": OPEN,
    "GET /v2/health/ready": OPEN,
    "GET /v2": "reader",
    "GET /v2/": "reader",
    "GET /v2/models/{reference}": "reader",
    "GET /v2/models/{reference}/ready": "reader",
    "GET /v2/models/{reference}/versions/{version}": "reader",
    "GET /v2/models/{reference}/versions/{version}/ready": "reader",
    "POST /v2/models/{reference}/infer": "predictor",
    "POST /v2/models/{reference}/versions/{version}/infer": "predictor",
    "GET /models/{name}/aliases": "reader",
    "GET /models/{name}/aliases/{alias}/history": "reader",
    "PUT /models/{name}/aliases/{alias}": "trainer",
    "DELETE /models/{name}/aliases/{alias}": "trainer",
    "GET /aliases/default": "reader",
    "PUT /aliases/default": "admin",
    "GET /audit": "admin",
    "GET /whoami": "reader",
    "GET /model-classes": "reader",
    "GET /models": "reader",
    "GET /models/{reference}": "reader",
    "GET /models/{reference}/report": "reader",
    "GET /models/{reference}/history": "reader",
    "GET /models/{reference}/decision": "reader",
    "GET /models/{reference}/evaluations": "reader",
    "GET /models/{reference}/drift": "reader",
    "GET /models/{reference}/performance": "reader",
    "GET /jobs": "reader",
    "GET /metrics": "reader",
    "GET /jobs/{job_id}": "reader",
    "GET /jobs/{job_id}/events": "reader",
    "POST /predict": "predictor",
    "POST /predict/file": "predictor",
    "POST /outcomes": "predictor",
    "POST /outcomes/file": "predictor",
    "POST /explain": "predictor",
    "POST /explain/file": "predictor",
    "POST /tables/check": "predictor",
    "POST /tables/check/file": "predictor",
    "POST /train": "trainer",
    "POST /train/file": "trainer",
    "POST /retrain": "trainer",
    "POST /retrain/file": "trainer",
    "POST /evaluate": "trainer",
    "POST /evaluate/file": "trainer",
    "PUT /models/{reference}/decision": "trainer",
    "PUT /models/{name}/keep-answers": "trainer",
    "PATCH /models/{reference}": "trainer",
    "DELETE /models/{reference}": "trainer",
    "POST /models/{reference}/restore": "trainer",
    "DELETE /jobs/{job_id}": "trainer",
    "DELETE /models/{reference}?hard=true": "admin",
    "GET /models/{reference}/artifact": "admin",
    "POST /keys": "admin",
    "GET /keys": "admin",
    "DELETE /keys/{name}": "admin",
    "POST /keys/{name}/rotate": "admin",
}

RPCS: dict[str, Role | None] = {
    "HealthCheck": OPEN,
    "Whoami": "reader",
    "ListAvailableModels": "reader",
    "ListTrainedModels": "reader",
    "GetModelInfo": "reader",
    "GetReport": "reader",
    "GetHistory": "reader",
    "GetDecision": "reader",
    "ListEvaluations": "reader",
    "GetDrift": "reader",
    "GetPerformance": "reader",
    "GetJob": "reader",
    "ListJobs": "reader",
    "WatchJob": "reader",
    "Predict": "predictor",
    "PredictStream": "predictor",
    "AddOutcomes": "predictor",
    "Explain": "predictor",
    "CheckTable": "predictor",
    "Train": "trainer",
    "TrainStream": "trainer",
    "Retrain": "trainer",
    "Evaluate": "trainer",
    "SetDecision": "trainer",
    "SetKeepAnswers": "trainer",
    "UpdateModel": "trainer",
    "DeleteModel": "trainer",
    "RestoreModel": "trainer",
    "CancelJob": "trainer",
    "DeleteModel for good": "admin",
    "GetArtifact": "admin",
    "CreateKey": "admin",
    "ListKeys": "admin",
    "RevokeKey": "admin",
    "RotateKey": "admin",
    "ListAliases": "reader",
    "GetAliasHistory": "reader",
    "SetAlias": "trainer",
    "DeleteAlias": "trainer",
    "GetDefaultAlias": "reader",
    "SetDefaultAlias": "admin",
    "ListAudit": "admin",
}

INFERENCE: dict[str, Role | None] = {
    "ServerLive": OPEN,
    "ServerReady": OPEN,
    "ServerMetadata": "reader",
    "ModelReady": "reader",
    "ModelMetadata": "reader",
    "ModelInfer": "predictor",
}
"""The methods of the Open Inference Protocol."""

OF_ALL_MODELS = ("/keys", "/audit", "/metrics", "PUT /aliases/default", "Key", "ListAudit", "SetDefaultAlias")
"""What routes and methods are named by that no key may use which is limited to some models."""

REFLECTION: dict[str, Role | None] = {
    f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo": "reader" for version in ("v1alpha",)
}

NAME_NOBODY = {"ListAliases", "GetAliasHistory", "DeleteAlias", "SetKeepAnswers"}
"""Methods that are asked here for a name that is empty, and so not a limited key's own."""
