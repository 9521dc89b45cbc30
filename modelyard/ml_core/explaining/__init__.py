"""Explaining: why a model says what it says of a row."""
