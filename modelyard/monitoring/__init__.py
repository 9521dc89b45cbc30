"""How a yard and its models fare: what is asked is watched, counted and told, never kept."""
