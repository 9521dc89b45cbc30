"""A transactional database of JSON documents in one file. Knows no model."""
