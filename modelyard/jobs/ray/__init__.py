"""Runs on a Ray cluster, which go on when the process that ordered them ends.

```
runner   what jobs know of all this: places, starts, ends
server   the bridge's process, as its parent sees it; it is started again when it has died
bridge   that process: the only one beside the cluster's own that imports Ray
foremen  the foremen of the cluster: where they are, which of them is free
foreman  one place on a node: a run at a time, as a process of the node's own fork server
head     a cluster of this machine alone, for trying
```
"""

from modelyard.jobs.ray.runner import RayRunner

__all__ = ["RayRunner"]
