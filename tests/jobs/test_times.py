"""How long a job has run and will still run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from modelyard.schemas import Job, JobProgress, Leader

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


def test_a_search_whose_seconds_are_over_waits_for_its_last_trial() -> None:
    leader = Leader(model_class_key="logistic_regression", metric=0.3, trials=1, seconds=2.0)
    progress = JobProgress(phase="trial 2 of 30", metric=0.3, board=[leader], max_seconds=12.0)
    job = Job(
        job_id="1",
        status="running",
        kind="search",
        model_class_key="auto",
        progress=progress,
        created_at=BEGUN,
        started_at=BEGUN,
    )
    at_last = BEGUN + timedelta(seconds=12)

    assert job.out_of_time(at_last)
    assert not job.out_of_time(at_last - timedelta(seconds=1))
    others: list[dict[str, object]] = [
        {"board": []},  # no trial is complete: the next one begins
        {"phase": "final fit"},
        {"max_seconds": None},  # a server of an earlier version does not say
    ]
    for other in others:
        assert not job.model_copy(update={"progress": progress.model_copy(update=other)}).out_of_time(at_last)
    assert not job.model_copy(update={"status": "succeeded", "ended_at": at_last}).out_of_time(at_last)
