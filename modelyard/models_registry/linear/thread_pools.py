"""The thread pools of linear algebra, looked for once: that takes a third of a small fit's time.

Import this where they are needed, and not before: it imports scikit-learn, because only libraries that are loaded are
found.
"""

from __future__ import annotations

import sklearn.linear_model  # noqa: F401
from threadpoolctl import ThreadpoolController

POOLS = ThreadpoolController()
