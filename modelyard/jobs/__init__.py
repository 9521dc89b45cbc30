"""WHEN: training runs in processes of their own, ordered, watched, limited and cancelled.

What a run does is handed in by a dotted path; nothing here knows of tables or model classes.
"""

from modelyard.jobs.dispatcher import Limits
from modelyard.jobs.jobs import Jobs, NewJob
from modelyard.jobs.spool import Finished, ProgressReporter

__all__ = ["Finished", "Jobs", "Limits", "NewJob", "ProgressReporter"]
