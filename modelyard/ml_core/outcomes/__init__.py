"""What really happened to rows that were predicted for, and how good the answers were by that."""
