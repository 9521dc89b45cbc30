"""The gate: whether a new version takes an alias over from the version that has it.

It is asked when a training has ended, in the process that publishes the model. `asked` checks what a request says,
`rows` finds the rows that both versions can be judged by, `comparing` judges.
"""

from modelyard.ml_core.promoting.asked import check_promote
from modelyard.ml_core.promoting.gate import Gate

__all__ = ["Gate", "check_promote"]
