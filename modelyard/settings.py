"""The settings: each an environment variable `MODELYARD_*`, read once at start and passed down."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from modelyard import setting_values as values
from modelyard.errors import FailedPrecondition, FieldError, InvalidRequest

DEFAULT_MISSING_MARKERS = ("", "?", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "<NA>")

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""What this machine is called by itself."""

_NAMES_A_KEY = re.compile(
    "MODELYARD_(.*_)?KEY(_.*)?|MODELYARD_DATABASE_URL|AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN)|PGPASSWORD|"
    "RAY_AUTH_TOKEN(_PATH)?"
)
_SECRET = ("database_url",)
"""Settings whose values are never shown."""


_MOST_WORKERS = 1024

Port = Annotated[int, Field(ge=0, le=65535)]
Days = Annotated[int, Field(ge=0, le=36_500)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(values.split_list)]


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine alone."""
    try:
        return host in LOOPBACK or ip_address(host).is_loopback
    except ValueError:
        return False


def environment_without_keys() -> dict[str, str]:
    """Return this process's environment without the variables that hold a key or the name of a file with one.

    It is for processes that need none, and that run what others have written.
    """
    return {name: value for name, value in os.environ.items() if not _NAMES_A_KEY.fullmatch(name)}


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Settings(BaseSettings):
    """How this yard runs. Sizes are in MB (2**20 bytes), times in seconds, a server's port 0 means any free one.

    A variable that is empty counts as not set.
    """

    model_config = SettingsConfigDict(env_prefix="MODELYARD_", env_ignore_empty=True, frozen=True, extra="forbid")

    storage_dir: Annotated[Path, BeforeValidator(values.folder)] = Field(
        Path("models_storage"), description="the folder that holds everything"
    )
    database_url: Annotated[str, AfterValidator(values.check_database_url)] | None = Field(
        None,
        repr=False,
        description="a PostgreSQL database, `postgresql://user:password@host/name`, that several hosts share; "
        "by default none: everything stands in the folder",
    )
    artifacts_url: Annotated[str, AfterValidator(values.check_artifacts_url)] | None = Field(
        None,
        validate_default=True,
        description="where the files of models stand, `s3://bucket/prefix`, beside a database; by default in the "
        "folder, which all hosts then share. Credentials are the usual `AWS_*`",
    )
    s3_endpoint: Annotated[str, AfterValidator(values.check_endpoint)] | None = Field(
        None, description="the URL of an S3-compatible store; by default Amazon's"
    )
    runner: Literal["local", "ray"] = Field(
        "local", description="where trainings take place: `local`, on the host that took the order, or `ray`, a cluster"
    )
    ray_address: Annotated[str, AfterValidator(values.check_ray_address)] | None = Field(
        None,
        validate_default=True,
        description="the Ray cluster, `host:port`, of which each host of a server has to be a node; by default "
        "`modelyard up` starts one of this machine",
    )
    host: str = Field("127.0.0.1", description="the address the servers listen on")
    rest_port: Port = Field(8000, description="REST's port")
    grpc_port: Port = Field(50051, description="gRPC's port")
    dashboard_port: Port = Field(8501, description="the dashboard's port")
    metrics_port: Port = Field(
        0,
        description="the port on which the gRPC server tells its metrics and its readiness by HTTP; 0: none. "
        "REST tells them by itself",
    )
    dashboard_rest_url: str = Field("", description="where the dashboard finds REST; by default on this machine")
    dashboard_grpc_target: str = Field("", description="where the dashboard finds gRPC; by default on this machine")
    max_body_mb: Annotated[float, Field(gt=0)] = Field(256, description="the largest request body, in MB")
    grpc_max_message_mb: Annotated[float, Field(gt=0, le=1023)] = Field(
        64, description="the largest gRPC message, in MB; larger tables are streamed"
    )
    root_path: Annotated[str, AfterValidator(values.check_root_path)] = Field(
        "", description="the path below which a proxy publishes REST, `/yard` say, whether or not it takes it off"
    )
    rest_express: bool = Field(
        True, description="answer REST by the quick ways; `false`: by the framework alone, to find what is at fault"
    )
    grpc_transport: Literal["auto", "core", "aio"] = Field(
        "auto",
        description="what drives gRPC: `core` is quick and tried with some versions of grpcio, `aio` goes with all; "
        "`auto` takes `core` if it was tried with the grpcio that is installed",
    )
    model_cache_mb: Annotated[float, Field(gt=0)] = Field(512, description="loaded models kept in memory, in MB")
    lock_timeout_s: Annotated[float, Field(gt=0)] = Field(
        10, description="how long a writer waits for the folder's lock"
    )
    allowed_origins: Names = Field(
        (), description="browser origins, beside the server's own, that may call REST; separated by commas"
    )
    allowed_hosts: Annotated[Names, AfterValidator(values.check_hosts)] = Field(
        (),
        description="names, beside localhost, by which browsers may call; separated by commas, `*` for any. "
        "By default any, but none while the servers listen on this machine only",
    )
    auth: Literal["none", "keys"] | None = Field(
        None,
        description="who may call: `keys` asks everybody for a key, `none` nobody. By default `none`, but then the "
        "servers listen on this machine only",
    )
    admin_key_file: Path | None = Field(
        None, description="a file with one key, the first administrator's, taken up at each start"
    )
    protected_aliases: Names = Field((), description="aliases that administrators alone move, separated by commas")
    default_alias: str | None = Field(
        None,
        description="the alias that a name alone means if it has it, set at the first start; by default none: a name "
        "means its newest active version",
    )
    tls_cert_file: Path | None = Field(
        None, description="the servers' certificate in PEM, with those that vouch for it; with it they speak TLS alone"
    )
    tls_key_file: Path | None = Field(None, validate_default=True, description="the certificate's private key in PEM")
    tls_client_ca_file: Path | None = Field(
        None,
        validate_default=True,
        description="who vouches for callers' certificates, in PEM; REST and gRPC then want one of each caller",
    )
    signing_key_file: Path | None = Field(
        None,
        description="a file outside the folder with one key a line; models are signed by the first, and none is loaded "
        "that none of them has signed",
    )
    audit_days: Days = Field(365, description="how long the audit keeps what was done, in days; 0: for ever")
    keep_answers_days: Days = Field(365, description="how long answers are kept for outcomes, in days; 0: none are")
    trusted_proxies: Annotated[Names, AfterValidator(values.check_networks)] = Field(
        (),
        description="proxies whose `X-Forwarded-For` says where a call comes from: addresses or networks, "
        "separated by commas",
    )
    rate_limit: Annotated[float, Field(ge=0, le=1e6)] = Field(
        0, description="calls a second that a caller may make, twice as many at once; 0: any number"
    )
    max_concurrent_predictions: Annotated[int, Field(ge=0)] = Field(
        256, description="predictions that may be under way or wait for their turn in a server; 0: any number"
    )
    request_timeout_s: Annotated[float, Field(gt=0)] = Field(
        30, description="how long a request's head, and each next piece of its body, may be waited for"
    )
    missing_markers: Annotated[tuple[str, ...], NoDecode, BeforeValidator(values.split_markers)] = Field(
        DEFAULT_MISSING_MARKERS,
        description="text cells that mean a missing value, separated by commas; empty cells always do",
    )
    train_workers: Annotated[int, Field(ge=1, le=_MOST_WORKERS)] = Field(
        default_factory=lambda: max(1, usable_cores() - 1),
        description="trainings at a time in the folder, whoever runs them; by default the cores but one. With "
        "`ray` those of a server, by default as many as the cluster has room for",
    )
    train_timeout_s: Annotated[float, Field(ge=0)] = Field(0, description="how long a training may take; 0: any time")
    train_memory_mb: Annotated[float, Field(ge=0)] = Field(
        0, description="the resident memory a training may take, in MB; 0: any amount"
    )
    train_niceness: Annotated[int, Field(ge=0, le=19)] = Field(
        10, description="how far trainings stand back behind everything else that wants the cores; 0: not at all"
    )
    train_grace_s: Annotated[float, Field(ge=0)] = Field(
        10, description="how long trainings may go on when their server is stopped"
    )
    drain_s: Annotated[float, Field(ge=0, le=3600)] = Field(
        0,
        description="how long a server that is told to stop goes on serving, while it says that it is not ready: "
        "longer than a balancer takes to see that; with none 0",
    )
    queue_limit: Annotated[int, Field(ge=0)] = Field(100, description="trainings that may wait for their turn")
    deleted_retention_days: Annotated[float, Field(ge=0)] | None = Field(
        None, description="how long `modelyard gc` keeps a deleted model that can be restored; none: for ever"
    )
    tracking: Literal["none", "clearml"] = Field(
        "none", description="where trainings are tracked: `clearml`, with credentials as ClearML's own, or `none`"
    )
    tracking_project: Annotated[str, AfterValidator(values.check_project)] = Field(
        "Modelyard", description="the ClearML project of the trainings; `/` parts it"
    )
    tracking_timeout_s: Annotated[float, Field(gt=0)] = Field(
        120, description="how long ClearML may take for one training, before it is asked again later"
    )
    monitoring: bool = Field(
        True, description="count what is predicted for, so that drift is seen; no row is ever kept"
    )
    allow_version_skew: bool = Field(False, description="load models made under other library versions")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="what is logged")
    log_format: Literal["text", "json"] = Field("text", description="how it is logged")

    @field_validator("log_level", mode="before")
    @classmethod
    def _in_capitals(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("artifacts_url")
    @classmethod
    def _with_database(cls, artifacts: str | None, info: ValidationInfo) -> str | None:
        if artifacts is not None and info.data.get("database_url") is None:
            raise ValueError("must be set with MODELYARD_DATABASE_URL only: a folder keeps its models' files itself")
        return artifacts

    @field_validator("ray_address")
    @classmethod
    def _with_ray(cls, address: str | None, info: ValidationInfo) -> str | None:
        if address is not None and info.data.get("runner") != "ray":
            raise ValueError("must be set with MODELYARD_RUNNER=ray only")
        return address

    @field_validator("tls_key_file")
    @classmethod
    def _with_certificate(cls, key: Path | None, info: ValidationInfo) -> Path | None:
        if (key is None) != (info.data.get("tls_cert_file") is None):
            raise ValueError("must be set if MODELYARD_TLS_CERT_FILE is, and only then")
        return key

    @field_validator("tls_client_ca_file")
    @classmethod
    def _with_tls(cls, authorities: Path | None, info: ValidationInfo) -> Path | None:
        if authorities is not None and info.data.get("tls_cert_file") is None:
            raise ValueError("must be set with MODELYARD_TLS_CERT_FILE only: without TLS nobody shows a certificate")
        return authorities

    @property
    def accepted_hosts(self) -> tuple[str, ...] | None:
        """The names by which the servers may be called, in small letters and without brackets; None: by any."""
        if "*" in self.allowed_hosts or not (self.allowed_hosts or self.host in LOOPBACK):
            return None
        return (*LOOPBACK, *self.allowed_hosts)

    @property
    def asks_for_keys(self) -> bool:
        """Whether callers are asked for a key."""
        return self.auth == "keys"

    def check_exposure(self) -> None:
        """Refuse to serve others than this machine unless it was said who may call. Raises FailedPrecondition."""
        if self.auth is None and not is_loopback(self.host):
            raise FailedPrecondition(
                f"a server on {self.host} can be reached from other machines, and it was not said who may call: set "
                "MODELYARD_AUTH=keys and make the first key by `modelyard keys create NAME --role admin`, or set "
                "MODELYARD_AUTH=none if whoever reaches the port may do everything"
            )

    @property
    def tls(self) -> bool:
        """Whether the servers speak TLS."""
        return self.tls_cert_file is not None

    @property
    def max_body_bytes(self) -> int:
        """The largest request body, in bytes."""
        return int(self.max_body_mb * 2**20)

    @property
    def most_trainings(self) -> int:
        """How many trainings may take place at a time; on a cluster as many as it has room for, unless it was said."""
        on_cluster = self.runner == "ray" and "train_workers" not in self.model_fields_set
        return _MOST_WORKERS if on_cluster else self.train_workers

    @property
    def train_memory_bytes(self) -> int:
        """The resident memory a training may take, in bytes; 0: any amount."""
        return int(self.train_memory_mb * 2**20)

    @property
    def grpc_max_message_bytes(self) -> int:
        """The largest gRPC message, in bytes."""
        return int(self.grpc_max_message_mb * 2**20)

    @property
    def model_cache_bytes(self) -> int:
        """The bound of the cache of loaded models, in bytes."""
        return int(self.model_cache_mb * 2**20)


def read_settings(**overrides: Any) -> Settings:
    """Read the settings from the environment, with the `overrides` in place that are neither None nor empty.

    Raises InvalidRequest naming each variable or override that is wrong.
    """
    given = {name: value for name, value in overrides.items() if value not in (None, "")}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise InvalidRequest.of([_setting_error(item, given) for item in error.errors()]) from None


def _setting_error(item: Mapping[str, Any], given: Mapping[str, Any]) -> FieldError:
    name = str(item["loc"][0])
    setting = name if name in given else "MODELYARD_" + name.upper()
    if name in _SECRET:
        return FieldError((name,), f"setting {setting}: {item['msg']}")
    return FieldError((name,), f"setting {setting}: {item['msg']}, got {item['input']!r}", item["input"])
