"""A model's life after its training: what it is asked, whether that has changed, and what really happened."""
