"""The one-command stack: embedded PostgreSQL, Temporal's development server, our processes, and a mailbox."""
