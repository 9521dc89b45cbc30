"""Following jobs on an event loop: any number of callers wait, and no thread does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress

from modelyard.errors import Unavailable
from modelyard.jobs import Jobs
from modelyard.schemas import Job

_LOOK_INTERVAL_S = 0.1
_LIVENESS_INTERVAL_S = 1.0
SILENCE_S = 15.0
"""A stream says something at least this often, because a proxy may close a silent one."""


async def states(
    jobs: Jobs, job_id: str, interval_s: float = _LOOK_INTERVAL_S, *, may_go_on: Callable[[], None] = lambda: None
) -> AsyncGenerator[Job | None, None]:
    """Yield a job whenever it has changed, until it has ended; None if nothing happened for `SILENCE_S`.

    Its end is seen at once, its progress every `interval_s`. Raises JobNotFound, Unavailable if this server stops
    before the job (`Jobs.check_can_tell`), and what `may_go_on` raises, which is called before each.
    """
    loop = asyncio.get_running_loop()
    changed = asyncio.Event()

    def wake() -> None:
        with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
            loop.call_soon_threadsafe(changed.set)

    last: Job | None = None
    silent_until = loop.time() + SILENCE_S
    with jobs.listening(wake):
        while last is None or not last.ended:
            changed.clear()
            job = await _found(jobs, job_id)
            jobs.check_can_tell(job)
            if job != last or loop.time() > silent_until:
                silent_until = loop.time() + SILENCE_S
                may_go_on()
                yield job if job != last else None
                last = job
            if not job.ended:
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), interval_s)


async def _found(jobs: Jobs, job_id: str) -> Job:
    """Return a job as it is now; a storage that cannot be asked is asked again for a while."""
    since = time.monotonic()
    while True:
        try:
            return jobs.get(job_id)
        except Unavailable:
            if not jobs.waits_on(since):
                raise
        await asyncio.sleep(_LOOK_INTERVAL_S)


async def end_of(jobs: Jobs, job_id: str) -> Job:
    """Return a job when it has ended. Raises like `states`."""
    last: Job | None = None
    async for job in states(jobs, job_id, _LIVENESS_INTERVAL_S):
        last = job or last
    assert last is not None
    return last
