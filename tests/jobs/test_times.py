"""How long a job has run and will still run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from modelyard.schemas import Job, JobProgress

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
NOW = BEGUN + timedelta(seconds=10)


def test_the_time_left_follows_from_how_far_a_training_is_and_nobody_knows_that_of_a_search() -> None:
    training = Job(
        job_id="1",
        status="running",
        model_class_key="auto",
        created_at=BEGUN,
        started_at=BEGUN,
        progress=JobProgress(fraction=0.25),
    )
    assert training.left(NOW) == timedelta(seconds=30)
    search = training.model_copy(update={"kind": "search"})
    assert (search.spent(NOW), search.left(NOW)) == (timedelta(seconds=10), None)
