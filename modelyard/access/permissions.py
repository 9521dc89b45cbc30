"""The table of verbs and roles: a verb that it lacks does not exist.

Each role may do what the ones before it may. A key that is limited to some models may do the same with those, except
what concerns all: the verbs of `WHOLE`.
"""

from __future__ import annotations

from functools import cache

from modelyard.schemas import ROLES, Role

OPEN = None
"""In the place of a role: the verb needs no key."""

NEEDED: dict[str, Role | None] = {
    "health": OPEN,  # its status alone
    "health_in_full": "reader",
    "whoami": "reader",
    "reflection": "reader",
    "list_models": "reader",
    "list_names": "reader",
    "get_model": "reader",
    "list_model_classes": "reader",
    "get_report": "reader",
    "get_decision": "reader",
    "get_history": "reader",
    "list_evaluations": "reader",
    "get_drift": "reader",
    "get_performance": "reader",
    "get_job": "reader",
    "list_jobs": "reader",
    "metrics": "reader",
    "watch_job": "reader",
    "predict": "predictor",
    "add_outcomes": "predictor",
    "explain": "predictor",
    "check_table": "predictor",
    "train": "trainer",
    "retrain": "trainer",
    "submit_training": "trainer",
    "submit_retraining": "trainer",
    "search": "trainer",
    "submit_search": "trainer",
    "cancel_job": "trainer",
    "evaluate": "trainer",
    "set_decision": "trainer",
    "set_keep_answers": "trainer",
    "update_model": "trainer",
    "delete": "trainer",
    "restore": "trainer",
    "set_alias": "trainer",
    "delete_alias": "trainer",
    "list_aliases": "reader",
    "get_alias_history": "reader",
    "get_default_alias": "reader",
    "move_protected_alias": "admin",
    "set_default_alias": "admin",
    "delete_for_good": "admin",
    "get_artifact": "admin",
    "create_key": "admin",
    "list_keys": "admin",
    "revoke_key": "admin",
    "list_audit": "admin",
    "rotate_key": "admin",
}

WHOLE = frozenset({"create_key", "list_keys", "revoke_key", "rotate_key", "list_audit", "metrics", "set_default_alias"})
"""What concerns all models, or those who use them: no key that is limited to some models may."""

_RANK = {role: rank for rank, role in enumerate(ROLES)}


@cache
def granted(role: Role, *, limited: bool) -> frozenset[str]:
    """Return the verbs that a role may use, with a key that is limited to some models or is not."""
    return frozenset(verb for verb in NEEDED if grants(role, verb) and not (limited and verb in WHOLE))


def grants(role: Role, verb: str) -> bool:
    """Whether a role may use a verb. Raises KeyError for one that does not exist."""
    needed = NEEDED[verb]
    return needed is OPEN or _RANK[needed] <= _RANK[role]
