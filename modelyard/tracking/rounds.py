"""Rounds of telling: the child gets one instruction after the other, and each answer is written down.

A round that ends anywhere, by a kill too, is taken up by the next: what was told in part is told again, to the same
task.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass

from modelyard.errors import DataLoss, NotFound, Unavailable
from modelyard.schemas import Tracking
from modelyard.storage import TrackedRuns
from modelyard.tracking.child import READY_TIMEOUT_S, Child
from modelyard.tracking.instructions import Instruction, Instructions
from modelyard.tracking.live_runs import LiveRuns
from modelyard.tracking.outbox import Outbox
from modelyard.tracking.protocol import ENDS, Answer

log = logging.getLogger("modelyard.tracking")

_UPLOAD_BYTES_PER_S = 256 * 1024
_MOST_IDLE_S = 30.0
"""A child with nothing to tell is kept for so long: to start one takes 3 s of CPU, and trainings follow one another."""

_TRIES = 3
"""How often a run may crash the child or make the server fail before that counts against the run."""


@dataclass(frozen=True, slots=True)
class Round:
    """What came of a round: how many runs were told, and why it ended before all were, if it did."""

    sent: int
    problem: str | None = None


class Rounds:
    """The rounds of one process, for the one process of a folder that delivers. Only `stop` is for other threads."""

    def __init__(
        self, runs: TrackedRuns, instructions: Instructions, live: LiveRuns, outbox: Outbox, timeout_s: float
    ) -> None:
        self._runs = runs
        self._instructions = instructions
        self._live = live
        self._outbox = outbox
        self._timeout_s = timeout_s
        self._faults: Counter[str] = Counter()
        self._guard = threading.Lock()
        self._child: Child | None = None
        self._told_at = 0.0
        self._stops = False

    def stop(self) -> None:
        """Kill the child: what is being told is told again by the next process that delivers."""
        with self._guard:
            self._stops = True
            if self._child is not None:
                self._child.kill()

    def run(self) -> Round | None:
        """Tell all that is pending and show the running jobs, until there is a problem. None if nothing was pending."""
        keys, live = self._pending(), self._live.due()
        done = None
        try:
            done = self._tell_all(keys, live)
        finally:
            if done is None or done.problem is not None:
                self.end()
        return done if keys or done.problem is not None else None

    def rest(self) -> None:
        """End a child that has had nothing to tell for a while."""
        if self._child is not None and time.monotonic() - self._told_at > _MOST_IDLE_S:
            self.end()

    def _pending(self) -> list[str]:
        """Return what is to be told, in order; what made the server fail again and again goes last."""
        pending = [one.key for one in self._runs.pending()]
        left = set(self._outbox.keys()).difference(pending)
        return sorted([*sorted(left), *pending], key=lambda key: self._faults[key] >= _TRIES)

    def _tell_all(self, keys: list[str], live: list[str]) -> Round:
        sent = 0
        for key in keys:
            instruction = self._instruction(key)
            if instruction is None:
                continue
            problem = self._settle(instruction, self._answer(instruction), healthy=sent > 0)
            if problem is not None:
                return Round(sent, problem)
            sent += 1
        for job_id in live:
            problem = self._show(job_id)
            if problem is not None:
                return Round(sent, problem)
        return Round(sent)

    def _instruction(self, key: str) -> Instruction | None:
        try:
            return self._instructions.of(key)
        except (DataLoss, NotFound) as error:  # what is damaged or half gone must not keep the others waiting
            self._refuse(key, error.detail)
            return None

    def _show(self, job_id: str) -> str | None:
        """Show how a running job is. Returns why nothing more can be told in this round, None if the next can."""
        news = self._live.news(job_id)
        instruction = None if news is None else self._instructions.of_live(job_id, news)
        if news is None or instruction is None:
            return None
        answer = self._answer(instruction)
        if answer.kind == "unreachable":
            return answer.reason
        if answer.kind == "sent":
            self._live.note_told(job_id, news)
        else:
            log.info("job %s is shown in ClearML at its end only: %s", job_id, answer.reason)
            self._live.give_up(job_id)
        return None

    # The child.

    def end(self) -> None:
        """End the child, if there is one."""
        with self._guard:
            child, self._child = self._child, None
        if child is not None:
            child.end()

    def _answer(self, instruction: Instruction) -> Answer:
        """Return the child's answer to an instruction, or what its silence means. Starts a child if there is none."""
        timeout_s = self._timeout_s + instruction.bytes / _UPLOAD_BYTES_PER_S
        if self._child is not None and self._child.is_gone():  # killed while it was idle
            self.end()
        if self._child is None and (problem := self._start_child()) is not None:
            return Answer("unreachable", reason=problem)
        child = self._child
        assert child is not None
        child.tell(self._instructions.with_parent(instruction))
        try:
            while (answer := child.answer(timeout_s)) is not None:
                if answer.kind == "began" and answer.task_id is not None:
                    self._outbox.note_task(instruction.key, answer.task_id)
                if answer.kind in ENDS:
                    self._told_at = time.monotonic()
                    if answer.kind == "ill":
                        self.end()  # it may have ended itself
                    return answer
        except TimeoutError:
            child.kill()
            words = f"ClearML took longer than {timeout_s:g} s, which MODELYARD_TRACKING_TIMEOUT_S allows"
            return Answer("unreachable", reason=words)
        if self._stops:
            return Answer("unreachable", reason="this server is shutting down")
        words = self._words_of_end(child)
        self.end()
        return Answer("broken", reason=words)

    def _start_child(self) -> str | None:
        """Start a child and wait until it has logged in. Returns why that failed, None if it did not."""
        self._outbox.make()
        try:
            child = Child(self._outbox.talk)
        except OSError as error:
            raise Unavailable(f"the process that tells ClearML cannot be started: {error.strerror or error}") from error
        with self._guard:
            self._child = child
            if self._stops:
                child.kill()
        try:
            hello = child.answer(READY_TIMEOUT_S)
        except TimeoutError:
            child.kill()
            return f"ClearML did not let us in within {READY_TIMEOUT_S:g} s"
        if hello is None:
            return self._words_of_end(child)
        return None if hello.kind == "ready" else hello.reason

    def _words_of_end(self, child: Child) -> str:
        return f"the process that tells ClearML {child.how_it_ended()}; {self._outbox.talk} may say why"

    # What came of it.

    def _settle(self, instruction: Instruction, answer: Answer, *, healthy: bool) -> str | None:
        """Write an answer down. Returns why nothing more can be told in this round, None if the next run can."""
        key = instruction.key
        if answer.kind == "sent":
            self._note_sent(instruction, answer)
        elif answer.kind == "gone":
            log.info("the task of %s was deleted in ClearML; a new one is made from what the folder knows", key)
            self._runs.forget_task(key)
        elif answer.kind == "refused":
            self._refuse(key, answer.reason)
        elif answer.kind == "unreachable":
            return answer.reason
        else:
            self._faults[key] += 1
            if self._faults[key] < _TRIES or not (healthy or answer.kind == "broken"):
                return answer.reason
            self._refuse(key, f"{answer.reason} ({self._faults[key]} times)")
        return None

    def _note_sent(self, instruction: Instruction, answer: Answer) -> None:
        key = instruction.key
        if instruction.told is not None:
            tracking = Tracking(status="sent", task_id=answer.task_id, url=answer.url)
            # Retrainings that were told before their parent are linked to it now.
            children = self._runs.children_told(key) if "record" in instruction.said else []
            self._runs.settle(key, instruction.told, tracking, concerns=children)
        self._outbox.remove(key)
        if instruction.job_id is not None:
            self._outbox.remove(instruction.job_id)
            self._live.forget(instruction.job_id)
        self._faults.pop(key, None)
        log.info("ClearML has been told of %s", key, extra={"facts": {"task_id": answer.task_id}})

    def _refuse(self, key: str, reason: str) -> None:
        self._runs.refuse(key, reason)
        self._outbox.set_aside(key)
        self._faults.pop(key, None)
        log.warning("ClearML will not take %s, which is set aside: %s", key, reason)
