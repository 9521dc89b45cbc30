"""The child that tells ClearML: `python -m modelyard.tracking.push`, the only process that imports its library.

Instructions come as lines on standard input, answers go as lines on standard output; `protocol` says which. It may be
killed at any time: what was told in part is told again, to the same task, and replaces itself there. It ends with its
standard input.
"""

from __future__ import annotations

import io
import os
import sys
import threading
import traceback
from queue import SimpleQueue
from typing import Any, NoReturn

import orjson

_NICENESS = 10
_TALK_BYTES = 64 * 1024


class _Talk(io.TextIOBase):
    """Takes what the library says, and keeps the first of it."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._left = _TALK_BYTES

    def writable(self) -> bool:
        """Whether it can be written: it can."""
        return True

    def write(self, text: str) -> int:
        """Write what there is room for, and drop the rest."""
        content = text.encode(errors="replace")[: self._left]
        self._left -= len(content)
        if content:
            os.write(self._file, content)
        return len(text)


def main() -> None:
    """Carry out instructions until there are no more."""
    os.nice(_NICENESS)
    answers = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr = _Talk(os.dup(2))
    instructions: SimpleQueue[dict[str, Any]] = SimpleQueue()
    threading.Thread(target=_listen, args=(instructions,), daemon=True).start()

    def say(kind: str, **what: str) -> None:
        os.write(answers, orjson.dumps({"kind": kind, **what}) + b"\n")

    def lost(kind: str, reason: str) -> NoReturn:
        say(kind, reason=reason)
        os._exit(0)

    # ClearML imports them if they are there, for tables that it is never sent here: a quarter of the time it takes.
    sys.modules |= {"pandas": None, "pyarrow": None}  # type: ignore[dict-item]
    try:
        from modelyard.tracking import clearml_bounds, clearml_task
    except ImportError as error:
        lost("unreachable", f"clearml cannot be imported ({error}); install it: pip install 'modelyard[clearml]'")
    refusals = clearml_bounds.bound(lost)
    clearml_bounds.log_in(lost)
    say("ready")
    while True:
        instruction = instructions.get()
        try:
            said = clearml_task.tell(instruction, refusals, lambda task_id: say("began", task_id=task_id))
        except clearml_task.NotTold as error:
            say(error.kind, reason=str(error))
        except Exception as error:  # noqa: BLE001 - the parent has to know, whatever it was
            traceback.print_exc()
            said_first = refusals.take()
            if said_first is not None:
                say("refused", reason=said_first)
            else:
                say("broken", reason=f"telling ClearML of it failed: {type(error).__name__}: {error}")
        else:
            say("sent", **said)


def _listen(instructions: SimpleQueue[dict[str, Any]]) -> None:
    for line in sys.stdin.buffer:
        instructions.put(orjson.loads(line))
    os._exit(0)


if __name__ == "__main__":
    main()
