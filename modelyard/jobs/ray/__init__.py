"""Runs on a Ray cluster, which go on when the process that ordered them ends.

```
runner   what jobs know of all this: places, starts, ends
bridge   a child of the server: the only process beside the cluster's own that imports Ray
foremen  the foremen of the cluster: which there are, and which of them is free
foreman  one place on a node: a run at a time, as a process of the node's own fork server
orders   what bridge and foremen say to each other
```
"""

from modelyard.jobs.ray.runner import RayRunner

__all__ = ["RayRunner"]
