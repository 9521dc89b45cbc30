"""What values settings may have: each function returns the value, or raises ValueError in words."""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path

_HOST = re.compile(r"\*|(\*\.)?[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?|\[?[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\]?")
_BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._=-]+)*/?")
_ADDRESS = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}")
_ROOT_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")


def folder(value: object) -> object:
    """Return a folder with its home folder written out."""
    if value == "":
        raise ValueError("a folder must have a name")
    try:
        return Path(value).expanduser() if isinstance(value, str | Path) else value
    except RuntimeError:
        raise ValueError(f"there is no home folder to stand for {Path(str(value)).parts[0]!r}") from None


def split_list(value: object) -> object:
    """Return the parts of a text between commas, without empty ones."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def split_markers(value: object) -> object:
    """Return the markers of missing cells in a text between commas; the empty one is always among them."""
    return ("", *(part for part in value.split(",") if part)) if isinstance(value, str) else value


def check_hosts(hosts: tuple[str, ...]) -> tuple[str, ...]:
    """Return names of hosts in small letters and without brackets."""
    for host in hosts:
        if not _HOST.fullmatch(host):
            raise ValueError(
                f"{host!r} must be a name without scheme and port (yard.example.com), `*.` and a name, or `*`"
            )
    return tuple(host.lower().strip("[]") for host in hosts)


def check_networks(proxies: tuple[str, ...]) -> tuple[str, ...]:
    """Return addresses and networks."""
    for proxy in proxies:
        try:
            ip_network(proxy, strict=False)
        except ValueError:
            raise ValueError(f"{proxy!r} must be an address (10.0.0.5) or a network (10.0.0.0/8)") from None
    return proxies


def check_project(name: str) -> str:
    """Return `name` if ClearML takes a project of that name."""
    parts = name.split("/")
    if not all(part.strip() for part in parts) or len(parts[-1].strip()) < 3:
        raise ValueError(f"a project must be named in 3 characters or more behind its last '/', got {name!r}")
    return name


def check_root_path(path: str) -> str:
    """Return a path without a slash at its end, empty for `/`."""
    bare = path.rstrip("/")
    if bare and not _ROOT_PATH.fullmatch(bare):
        raise ValueError(f"a root path must be like /yard or /tools/yard, of letters, digits and ._~-, got {path!r}")
    return bare


def check_database_url(url: str) -> str:
    """Return the URL of a PostgreSQL database; the error does not quote it: it may hold a password."""
    if not url.startswith(("postgresql://", "postgres://")):
        raise ValueError("a database must be written postgresql://user:password@host:port/name")
    return url


def check_artifacts_url(url: str) -> str:
    """Return the URL of a part of a bucket."""
    if not _BUCKET.fullmatch(url):
        raise ValueError("artifacts must be written s3://bucket or s3://bucket/prefix")
    return url


def check_endpoint(url: str) -> str:
    """Return the URL of a server."""
    if not url.startswith(("http://", "https://")):
        raise ValueError("an endpoint must begin with http:// or https://")
    return url


def check_ray_address(address: str) -> str:
    """Return where a Ray cluster is."""
    if not _ADDRESS.fullmatch(address):
        raise ValueError("a Ray cluster must be written host:port, without a scheme")
    return address
