"""What a session remembers from one rerun to the next, from one page to another.

Streamlit forgets a widget's value when its page is left; what must stay is kept here under names of its own.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from modelyard.dashboard.doors import DoorName, Doors
from modelyard.schemas import ModelMetadata
from modelyard.verbs import Verbs

if TYPE_CHECKING:
    from modelyard.dashboard.tables import Table

_KEY = "modelyard"


@dataclass(slots=True, weakref_slot=True)
class Session:
    """The state of one visitor.

    `model` is the id of the model last trained, opened or predicted with. `tables` holds uploads by their purpose,
    `job_id` the training under way or last ended on the training page, `losses` its learning curve so far by job.
    """

    doors: Doors
    door: DoorName = "rest"
    pages: Mapping[str, Any] = field(default_factory=dict)
    model: str | None = None
    job_id: str | None = None
    parent: str | None = None
    tables: dict[str, Table] = field(default_factory=dict)
    uploads: dict[str, int] = field(default_factory=dict)
    losses: dict[str, dict[int, float]] = field(default_factory=dict)
    compared: list[str] = field(default_factory=list)
    kept: dict[str, Any] = field(default_factory=dict)
    scratch: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="modelyard-dashboard-")))

    def __post_init__(self) -> None:
        # A folder for this session's files, gone with it.
        weakref.finalize(self, shutil.rmtree, self.scratch, ignore_errors=True)

    @property
    def yard(self) -> Verbs:
        """The yard, through the door that was chosen."""
        return self.doors.client(self.door)


def begin(doors: Doors) -> Session:
    """Return this visitor's session, made at the first call."""
    if _KEY not in st.session_state:
        st.session_state[_KEY] = Session(doors)
    return current()


def current() -> Session:
    """Return this visitor's session."""
    session: Session = st.session_state[_KEY]
    return session


def yard() -> Verbs:
    """Return the yard, through the door that was chosen."""
    return current().yard


def resolved(parameter: str) -> ModelMetadata | None:
    """Return the model that a parameter of the address refers to, None without one; the address gets its id at once.

    So the page stays with the model it shows: what a name means changes with each training and deletion.
    """
    reference = st.query_params.get(parameter)
    if reference is None:
        return None
    model = yard().get_model(reference)
    if reference != model.model_id:
        st.query_params[parameter] = model.model_id
    return model


def go(page: str, **query: str) -> None:
    """Turn to another page of the dashboard."""
    st.switch_page(current().pages[page], query_params=query)
