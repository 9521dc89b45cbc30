"""Entries that are appended and read by time, in files."""
