"""Searches on the screen: how long one may take, and the leaderboard of its trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from modelyard.dashboard import formats
from modelyard.dashboard.texts import said, t
from modelyard.schemas import MOST_SEARCH_SECONDS, MOST_TRIALS, SEARCH_SECONDS, TRIALS, LeaderboardEntry


def ask_search() -> dict[str, Any]:
    """Ask how much a search may take; return the fields of its request."""
    grid = st.grid(2, min_column_width=200)
    seconds = grid.number_input(
        t("search.max_seconds"),
        1,
        MOST_SEARCH_SECONDS,
        SEARCH_SECONDS,
        help=t("search.max_seconds_help"),
        key="search-seconds",
    )
    trials = grid.number_input(
        t("search.trials"), 1, MOST_TRIALS, TRIALS, help=t("search.trials_help"), key="search-trials"
    )
    return {"max_seconds": float(seconds), "trials": int(trials)}


def show_leaderboard(entries: Sequence[LeaderboardEntry]) -> None:
    """Show the trials of the search that made a model, the best first."""
    st.header(t("search.leaderboard"), anchor=False)
    st.caption(t("search.leaderboard_help"))
    st.dataframe(
        {
            t("search.class"): [entry.model_class_key for entry in entries],
            t("report.metric"): [formats.number(entry.metric, 4) for entry in entries],
            t("search.interval"): [_interval(entry) for entry in entries],
            t("search.weight"): [formats.percent(entry.weight) if entry.weight else "" for entry in entries],
            t("search.seconds"): [round(entry.seconds, 1) for entry in entries],
            t("search.words"): [said(entry.words) for entry in entries],
        },
        hide_index=True,
    )


def _interval(entry: LeaderboardEntry) -> str:
    if entry.low is None or entry.high is None:
        return ""
    return f"{formats.number(entry.low, 4)} … {formats.number(entry.high, 4)}"
