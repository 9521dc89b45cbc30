"""What the parent and its child say to each other: one JSON object a line, instructions down, answers up.

The child says `ready` or `unreachable` first. To each instruction it says `began` once there is a task, then one of the
ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["ready", "began", "sent", "gone", "refused", "unreachable", "ill", "broken"]
"""`gone`: the task was deleted in ClearML. `refused`: the server will never take it. `unreachable`: nothing can be told
now. `ill`: the server failed over this instruction, which may be the instruction's fault or not. `broken`: this program
failed over it."""

ENDS = ("sent", "gone", "refused", "unreachable", "ill", "broken")


@dataclass(frozen=True, slots=True)
class Answer:
    """One line of the child's; `reason` is in words for a person."""

    kind: Kind
    task_id: str | None = None
    url: str | None = None
    reason: str = ""

    @classmethod
    def of(cls, line: dict[str, Any]) -> Answer:
        """Read a line."""
        return cls(line["kind"], line.get("task_id"), line.get("url"), line.get("reason", ""))
