"""The bootstrap: how far a metric would have moved if other rows had been held out.

It knows numbers and weights, and neither tasks nor trainings.
"""

from modelyard.ml_core.resampling.bootstrap import (
    SHARE,
    bootstrap,
    interval,
    intervals,
    intervals_of,
    mean_of_folds,
    replicates,
    usual_rounds,
)
from modelyard.ml_core.resampling.measures import Confusion, Floats, Indices, Measure, Ranking, means, medians

__all__ = [
    "SHARE",
    "Confusion",
    "Floats",
    "Indices",
    "Measure",
    "Ranking",
    "bootstrap",
    "interval",
    "intervals",
    "intervals_of",
    "mean_of_folds",
    "means",
    "medians",
    "replicates",
    "usual_rounds",
]
