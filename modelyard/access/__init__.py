"""Who may: keys, the table of verbs and permissions, limits, audit, signing, TLS."""
