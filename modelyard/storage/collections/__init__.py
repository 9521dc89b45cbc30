"""Models, names, history, jobs and tracked runs: the only place that knows the shapes of documents."""
