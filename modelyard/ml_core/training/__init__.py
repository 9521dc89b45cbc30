"""Trainings: orders worked out in full, fits and their evaluation, and the process that carries an order out."""
