"""WHEN: training runs, ordered, watched, limited and cancelled.

`runner` says what is asked of the place where runs take place; `local` is this machine. Nothing here knows of tables or
model classes: what a run does is handed in by a dotted path.
"""

from modelyard.jobs.jobs import Jobs, NewJob
from modelyard.jobs.runner import Limits
from modelyard.jobs.spool import Finished, ProgressReporter, Spool, StepTold
from modelyard.jobs.steps import Planner, Step

__all__ = ["Finished", "Jobs", "Limits", "NewJob", "Planner", "ProgressReporter", "Spool", "Step", "StepTold"]
