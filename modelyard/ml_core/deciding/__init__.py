"""How probabilities become answers: decisions checked, resolved by the validation, obeyed, and judged.

It knows labels, probabilities and validation predictions, and neither trainings nor the serving of models.
"""

from modelyard.ml_core.deciding.checks import check_decision
from modelyard.ml_core.deciding.deciders import Decider, decider
from modelyard.ml_core.deciding.judging import judge
from modelyard.ml_core.deciding.resolving import resolve

__all__ = ["Decider", "check_decision", "decider", "judge", "resolve"]
