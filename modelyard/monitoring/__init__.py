"""How a yard fares: what its servers count, and how they tell of it."""
