"""Judging models by labelled tables after their training."""
