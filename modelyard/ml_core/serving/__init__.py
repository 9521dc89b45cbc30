"""Models that answer: loaded estimators, predictions, batches, and the thread that keeps a server warm."""
