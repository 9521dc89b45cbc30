"""Sources: what becomes named raw columns: files, and the forms a table can take in memory."""
