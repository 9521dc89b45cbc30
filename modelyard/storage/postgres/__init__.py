"""Documents, series, the audit's entries and leases in PostgreSQL, shared by processes of several hosts."""
