"""Reading a table to predict for against the contract of a model."""
