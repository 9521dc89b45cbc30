"""What a session remembers from one rerun to the next, from one page to another.

Streamlit forgets a widget's value when the visitor leaves its page; values that must stay are kept here.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from modelyard.dashboard.doors import DoorName, Doors
from modelyard.dashboard.visitor import Visitor
from modelyard.errors import ModelyardError
from modelyard.schemas import ColumnRole, FeatureType, ModelMetadata, Whoami
from modelyard.verbs import Verbs

if TYPE_CHECKING:
    from modelyard.dashboard.tables import Table

_KEY = "modelyard"
_STAYS = ("lang",)
"""What stays if another visitor comes."""


class Scratch:
    """A folder for files, removed with the last session that holds it."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="modelyard-dashboard-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


@dataclass(slots=True, weakref_slot=True)
class Session:
    """The state of one visitor.

    `model` is the id of the model last trained, opened or predicted with, `job_id` the training that the training page
    showed last. `tables` holds uploads by their purpose, `choices` what the training form says by the keys of its
    widgets, `kinds` what was chosen for columns, by table and parent. `visit` is the word, which nobody can guess, by
    which a page that is loaded anew finds all of this again. With keys it does so only once the same one was shown:
    `owner` is who the servers say its holder is, and the word alone, which stands in addresses, opens nothing.
    """

    doors: Doors
    door: DoorName = "rest"
    pages: Mapping[str, Any] = field(default_factory=dict)
    model: str | None = None
    job_id: str | None = None
    tables: dict[str, Table] = field(default_factory=dict)
    uploads: dict[str, int] = field(default_factory=dict)
    choices: dict[str, Any] = field(default_factory=dict)
    kinds: dict[str, dict[str, FeatureType | ColumnRole]] = field(default_factory=dict)
    compared: list[str] = field(default_factory=list)
    kept: dict[str, Any] = field(default_factory=dict)
    folder: Scratch = field(default_factory=Scratch)
    visit: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    visitor: Visitor = field(default_factory=Visitor)
    owner: Whoami | None = None

    @property
    def yard(self) -> Verbs:
        """The yard, through the door that was chosen."""
        return self.visitor.client(self.doors, self.door)

    @property
    def scratch(self) -> Path:
        """The folder for this session's files."""
        return self.folder.path

    def continued(self) -> Session:
        """Return a session of its own that begins with all that this one remembers; both hold the files."""
        own: dict[str, Any] = {
            "tables": dict(self.tables),
            "uploads": dict(self.uploads),
            "choices": dict(self.choices),
            "kinds": {table: dict(kinds) for table, kinds in self.kinds.items()},
            "compared": list(self.compared),
            "kept": dict(self.kept),
        }
        return replace(self, **own, visitor=Visitor(), visit=secrets.token_urlsafe(16))


def begin(doors: Doors) -> Session:
    """Return this visitor's session, made at the first call.

    A browser that loads a page anew begins a new session of Streamlit; `?visit=` in the address continues the old one,
    as long as Streamlit keeps it (two minutes).
    """
    if _KEY not in st.session_state:
        _take(_left_by(None) or Session(doors))
    return current()


def sign_in(key: str) -> None:
    """Go on as the holder of a key: with what this session remembers if it is theirs, or the one in the address.

    Raises Unauthenticated if the servers do not take the key, and what `Visitor.client` raises.
    """
    here, visitor = current(), Visitor(key)
    try:
        owner = visitor.who = visitor.client(here.doors, here.door).whoami()
    except ModelyardError:
        visitor.leave()
        raise
    here.visitor.leave()
    if here.owner != owner:
        here = _left_by(owner) or Session(here.doors, here.door)
        _forget_widgets()
    here.owner, here.visitor = owner, visitor
    _take(here)


def sign_out() -> None:
    """Forget the visitor and all that belongs to them."""
    here = current()
    here.visitor.leave()
    _forget_widgets()
    _take(Session(here.doors, here.door))


def _left_by(owner: Whoami | None) -> Session | None:
    """Return the continuation of the session that the address names, if it belongs to this owner."""
    left = _sessions().get(st.query_params.get("visit", ""))
    return left.continued() if left is not None and left.owner == owner else None


def _take(here: Session) -> None:
    st.session_state[_KEY] = _sessions()[here.visit] = here


def _forget_widgets() -> None:
    for key in list(st.session_state):
        if key not in _STAYS:
            del st.session_state[key]


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


@st.cache_resource(show_spinner=False)
def _sessions() -> weakref.WeakValueDictionary[str, Session]:
    """Return the sessions that Streamlit holds, by their visits."""
    return weakref.WeakValueDictionary()
