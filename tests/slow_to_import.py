"""A library that takes its time, for the tests of what happens meanwhile."""

from __future__ import annotations

import time

time.sleep(3600)
