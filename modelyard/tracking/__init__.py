"""WHO IS TOLD: every training becomes an experiment in ClearML, by way of an outbox, and no training ever waits for it.

What is to be told is part of the transaction that stores a model or ends a job. A thread of one server hands it to a
child process, `push`, which alone imports clearml and is killed if it takes too long. Nothing of this package is
imported if trainings are not tracked.
"""
