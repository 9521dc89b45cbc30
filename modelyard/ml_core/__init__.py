"""WHAT: the verbs, the tasks, trainings and predictions. Knows no door."""
