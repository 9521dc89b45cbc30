"""The tasks by name: what a model class of a task predicts, and how it is judged. One package or file each."""

from types import MappingProxyType

from modelyard.ml_core.tasks.base import Task
from modelyard.ml_core.tasks.classification import Classification

TASKS: MappingProxyType[str, Task] = MappingProxyType({"classification": Classification()})

__all__ = ["TASKS", "Task"]
