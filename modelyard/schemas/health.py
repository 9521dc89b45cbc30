"""How a yard is."""

from __future__ import annotations

from typing import Literal

from modelyard.schemas.base import Frozen


class Backlog(Frozen):
    """What the experiment tracker has not been told: how many runs are `pending`, how many it refused for good.

    `problem` is why it cannot be told now; the trainings do not mind.
    """

    pending: int
    failed: int
    problem: str | None = None


class Health(Frozen):
    """How the yard is: `storage` is `ok` or why it cannot be used, `models` the number of active ones.

    On servers `storage` goes on with what keeps the yard, and how fresh the state is that this replica knows.

    If models were found damaged, `storage` names them and `status` stays `ok`: the rest is served.
    `tracking` is null if trainings are not tracked. Callers without a key hear the `status` alone, if keys are asked
    for.
    """

    status: Literal["ok", "unavailable"]
    version: str | None = None
    storage: str | None = None
    models: int | None = None
    uptime_s: float | None = None
    tracking: Backlog | None = None
