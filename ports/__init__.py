"""Adapters to systems outside: each a protocol and what implements it. They know the domain, and no settings."""
