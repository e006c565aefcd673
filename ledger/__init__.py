"""The PostgreSQL room: the only code that writes business tables. It must not know Temporal, HTTP or any framework
above it.
"""
