"""The routes, one file a noun. Each decodes, makes one call on the core, and encodes."""
