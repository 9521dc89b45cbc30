"""The files of models in a folder, and what is in them: pickled estimators, and the environment they were made in."""
