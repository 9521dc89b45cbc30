"""The tasks that models have."""
