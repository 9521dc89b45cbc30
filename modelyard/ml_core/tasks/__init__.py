"""The tasks by name: what a model class of a task predicts, and how it is judged. One package or file each."""

from types import MappingProxyType

from modelyard.ml_core.tasks.base import Task
from modelyard.ml_core.tasks.classification import Classification
from modelyard.ml_core.tasks.regression import Regression

TASKS: MappingProxyType[str, Task] = MappingProxyType({"classification": Classification(), "regression": Regression()})

__all__ = ["TASKS", "Task"]
