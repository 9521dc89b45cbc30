"""The files of models, the pickled estimators in them, and the environment an estimator was made in."""
