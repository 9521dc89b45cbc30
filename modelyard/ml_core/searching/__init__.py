"""Searches: many model classes and hyperparams tried on one table, and the best of them made a model.

`asking` says what is tried next, `trials` tries it, `weighing` says which of what was tried together are best,
`leaderboard` what the others are worth. `planning` is what jobs are told of it all, `steps` what the runs of a search
do. Rows held out by the evaluation are seen by none of this.
"""
