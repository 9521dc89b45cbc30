"""Searches on the screen: how long one may take, and the leaderboard of its trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from modelyard.dashboard import formats
from modelyard.dashboard.listing import class_title
from modelyard.dashboard.texts import said, t
from modelyard.schemas import MOST_SEARCH_SECONDS, MOST_TRIALS, SEARCH_SECONDS, TRIALS, Leader, LeaderboardEntry


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
    found = st.expander(t("search.leaderboard"), icon=":material/leaderboard:", key="leaderboard")
    found.caption(t("search.leaderboard_help"))
    found.dataframe(
        {
            t("search.class"): [class_title(entry.model_class_key) for entry in entries],
            t("report.metric"): [formats.number(entry.metric, 4) for entry in entries],
            t("search.interval"): [_interval(entry) for entry in entries],
            t("search.weight"): [formats.percent(entry.weight) if entry.weight else "" for entry in entries],
            t("search.seconds"): [round(entry.seconds, 1) for entry in entries],
            t("search.words"): [said(entry.words) for entry in entries],
        },
        hide_index=True,
    )


def show_board(leaders: Sequence[Leader]) -> None:
    """Show the best trial of each algorithm that a search under way has tried, and what the intervals show of them."""
    best, *others = leaders
    names = [formats.escaped(class_title(leader.model_class_key)) for leader in leaders]
    spent = [t("search.trials_in", n=leader.trials, time=formats.duration(leader.seconds)) for leader in leaders]
    st.table(
        {  # three columns, so that a phone cuts none off
            t("search.class"): [
                f"{name}  \n:small[{words}]" for name, words in zip([f"**{names[0]}**", *names[1:]], spent, strict=True)
            ],
            t("search.best_so_far"): [_with_interval(leader) for leader in leaders],
            t("contest.shows"): [t("contest.first"), *(_words(leader, best) for leader in others)],
        },
        hide_index=True,
        border="horizontal",
    )
    st.caption(t("search.board_help"))


def _with_interval(leader: Leader) -> str:
    value, interval = formats.number(leader.metric, 4), _interval(leader)
    return f"{value} ({interval})" if interval else value


def _words(leader: Leader, best: Leader) -> str:
    """Say whether one is shown to be worse than the best: their intervals do not overlap."""
    if leader.low is None or leader.high is None or best.low is None or best.high is None:
        return formats.NOTHING
    overlap = leader.low <= best.high and best.low <= leader.high
    return t("contest.no_difference" if overlap else "contest.worse")


def _interval(entry: LeaderboardEntry | Leader) -> str:
    if entry.low is None or entry.high is None:
        return ""
    return f"{formats.number(entry.low, 4)} … {formats.number(entry.high, 4)}"
