"""Ensembles: models of several model classes that answer together, each by its weight."""
