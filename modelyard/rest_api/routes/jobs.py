"""Jobs: list, look at, follow, cancel."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse

from modelyard import calls
from modelyard.errors import ModelyardError
from modelyard.ml_core.desk import Desk
from modelyard.ml_core.yard import Yard
from modelyard.rest_api import problems
from modelyard.rest_api.openapi import error_responses
from modelyard.rest_api.problems import PROBLEM_EVENT
from modelyard.schemas import Job, JobPage, JobQuery

EVENTS = "text/event-stream"
RETRY_MS = 1000
"""How soon a browser whose stream broke off asks again."""

LastEventId = Annotated[
    str | None, Header(alias="Last-Event-ID", description="the `id` of the last event that was seen, from browsers")
]


def router(desk: Desk) -> APIRouter:
    """Make the routes of jobs."""
    routes = APIRouter(prefix="/jobs", tags=["jobs"])

    @routes.get("", responses=error_responses(400))
    async def list_jobs(query: Annotated[JobQuery, Query()]) -> JobPage:
        """List jobs, newest first."""
        return await desk.ask(Yard.list_jobs, query)

    @routes.get("/{job_id}", responses=error_responses(404))
    async def get_job(job_id: str) -> Job:
        """Return a job as it is now, with its progress."""
        return await desk.ask(Yard.get_job, job_id)

    @routes.delete("/{job_id}", status_code=202, responses=error_responses(404, 409))
    async def cancel_job(job_id: str) -> Job:
        """Cancel a job that has not ended, whichever server runs it: it will have no model."""
        return await desk.ask(Yard.cancel_job, job_id)

    @routes.get(
        "/{job_id}/events",
        response_class=Response,
        responses={
            **error_responses(404),
            200: {"content": {EVENTS: {"schema": {"type": "string"}}}},
            204: {"description": "the job has ended, and its end was the last event that the caller has seen"},
        },
    )
    async def job_events(job_id: str, last_event_id: LastEventId = None) -> Response:
        """Follow a job by server-sent events `job`, each the whole job as JSON, until it has ended.

        If the server cannot tell its end, the last event is a `problem`, an error as JSON.
        """
        states = await desk.watch_job(job_id)
        if last_event_id is not None:
            job = await desk.ask(Yard.get_job, job_id)
            if job.ended and last_event_id == _event_id(job):
                return Response(status_code=204)  # so that a browser asks no more
        return StreamingResponse(_events(states), media_type=EVENTS, headers={"Cache-Control": "no-cache"})

    return routes


async def _events(states: AsyncIterator[Job | None]) -> AsyncIterator[str]:
    try:
        async for job in states:
            yield ":\n\n" if job is None else _event(job)
    except ModelyardError as error:  # the stream ends without the job's end
        calls.ends_as(error.code)
        problem = problems.to_problem(error, calls.identity().get("request_id")).decode()
        yield f"event: {PROBLEM_EVENT}\ndata: {problem}\n\n"


def _event(job: Job) -> str:
    return f"retry: {RETRY_MS}\nid: {_event_id(job)}\nevent: job\ndata: {job.model_dump_json()}\n\n"


def _event_id(job: Job) -> str:
    """Return what tells a state of a job from its others."""
    return f"{job.status}-{job.progress.fraction:.6f}"
