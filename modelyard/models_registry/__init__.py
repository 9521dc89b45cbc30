"""WHICH: the model classes to choose from. The registry is a literal; third parties join by entry point.

A package brings its own model class by an entry point of the group `modelyard.model_classes` that names a `ModelClass`
subclass or instance. Importing this package imports no learning library.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import logging
from collections.abc import Callable, Collection, Mapping
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any

from modelyard.errors import ModelClassNotFound
from modelyard.models_registry.base import ModelClass
from modelyard.models_registry.catboost.classifier import CatBoostClassifierClass
from modelyard.models_registry.catboost.regressor import CatBoostRegressorClass
from modelyard.models_registry.ensemble.ensemble import Ensemble, members_of
from modelyard.models_registry.hyperparams import json_schema
from modelyard.models_registry.lightgbm.classifier import LightGBMClassifierClass
from modelyard.models_registry.lightgbm.regressor import LightGBMRegressorClass
from modelyard.models_registry.linear.linear_regression import LinearRegressionClass
from modelyard.models_registry.linear.logistic_regression import LogisticRegressionClass
from modelyard.schemas import ENSEMBLE, ModelClassInfo, plain_key

ENTRY_POINT_GROUP = "modelyard.model_classes"

BUILT_IN: MappingProxyType[str, ModelClass] = MappingProxyType(
    {
        "logistic_regression": LogisticRegressionClass(),
        "catboost_classifier": CatBoostClassifierClass(),
        "lightgbm_classifier": LightGBMClassifierClass(),
        "linear_regression": LinearRegressionClass(),
        "catboost_regressor": CatBoostRegressorClass(),
        "lightgbm_regressor": LightGBMRegressorClass(),
    }
)

logger = logging.getLogger(__name__)


def model_classes() -> dict[str, ModelClass]:
    """Return all model classes by key: the built-in ones, then those of installed plug-ins."""
    return {**BUILT_IN, **_plug_ins()}


def model_class(key: str) -> ModelClass:
    """Return the model class of a key, whose case, '_' and '-' do not matter. Raises ModelClassNotFound."""
    known = model_classes()
    plain = {plain_key(name): name for name in known}
    if plain_key(key) in plain:
        return known[plain[plain_key(key)]]
    if is_ensemble(key):
        raise ModelClassNotFound("an 'ensemble' is made by a search, and by retraining what a search has made")
    near = [plain[name] for name in difflib.get_close_matches(plain_key(key), plain, n=3, cutoff=0.5)]
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    shown = key if len(key) <= 80 else key[:77] + "..."
    raise ModelClassNotFound(f"there is no model class {shown!r}; {hint}known are: {', '.join(map(repr, known))}")


def is_ensemble(key: str) -> bool:
    """Whether a key is that of ensembles, which are made of model classes and are none to choose from."""
    return plain_key(key) == ENSEMBLE


def class_of_model(key: str, hyperparams: Mapping[str, Any]) -> ModelClass:
    """Return the model class of a model, which for an ensemble is made of its members. Raises ModelClassNotFound."""
    return Ensemble([model_class(one) for one in members_of(hyperparams)]) if is_ensemble(key) else model_class(key)


def keys_of_task(task: str) -> list[str]:
    """Return the keys of the model classes of a task."""
    return [key for key, found in model_classes().items() if found.task == task]


def keys_that_explain() -> list[str]:
    """Return the keys of the model classes that bring `contributions` of their own."""
    known = model_classes().items()
    return [key for key, found in known if type(found).contributions is not ModelClass.contributions]


def describe(model_class: ModelClass) -> ModelClassInfo:
    """Return what people and programs need to choose a model class and set its hyperparams."""
    return ModelClassInfo(
        key=model_class.key,
        title=model_class.title,
        description=model_class.description,
        import_path=model_class.import_path,
        task=model_class.task,
        takes_monotone=model_class.takes_monotone,
        hyperparams=json_schema(model_class.hyperparams),
    )


def describe_all() -> list[ModelClassInfo]:
    """Return what there is to choose from, as `describe` tells it."""
    return [describe(found) for found in model_classes().values()]


def preload(stops: Callable[[], bool] = lambda: False) -> None:
    """Import what the model classes say that they need, module by module, until `stops` says so.

    What cannot be imported is logged, and raised to whoever comes to need it.
    """
    for module in dict.fromkeys(name for one in model_classes().values() for name in one.preloads):
        if stops():
            return
        try:
            importlib.import_module(module)
        except Exception:  # a third party's module may raise anything, and must not hide the others
            logger.exception("%s cannot be imported", module)


def framework_of(libraries: Collection[str]) -> str | None:
    """Return ClearML's name of the library that a model was made with, as a model class declares it of its first."""
    declared = {one.libraries[0]: one.framework for one in model_classes().values() if one.framework}
    return next((declared[library] for library in libraries if library in declared), None)


@functools.cache
def _plug_ins() -> dict[str, ModelClass]:
    found: dict[str, ModelClass] = {}
    for entry_point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda one: (one.name, one.value)):
        loaded = _load(entry_point)
        if loaded is None:
            continue
        if plain_key(loaded.key) in {plain_key(key) for key in (*BUILT_IN, *found)}:
            logger.error("plug-in %s is skipped: the key %r is taken", entry_point.value, loaded.key)
        else:
            found[loaded.key] = loaded
    return found


def _load(entry_point: EntryPoint) -> ModelClass | None:
    try:
        named = entry_point.load()
        loaded = named() if isinstance(named, type) else named
        if isinstance(loaded, ModelClass):
            describe(loaded)
            return loaded
        logger.error("plug-in %s is skipped: it is not a ModelClass", entry_point.value)
    except Exception:  # a third party's code may raise anything, and must not hide the other model classes
        logger.exception("plug-in %s is skipped: it cannot be loaded", entry_point.value)
    return None
