"""Runs as processes of this machine: forked by a fork server, bounded by locks in the folder of jobs.

```
runner       what jobs know of all this
launcher     the server's side of the fork server
line_process a process of ours, and the lines exchanged with it
fork_server  forks a process for each run, and a spare ahead of the next
forks        one such process, and what is said between it and the fork server
run_process  what a run does in its process
locks        slots and owners, as locked files
exits        why a run has left no ending, in words
```
"""

from modelyard.jobs.local.locks import LocalOwners
from modelyard.jobs.local.runner import LocalRunner

__all__ = ["LocalOwners", "LocalRunner"]
