"""Everything that pages and the API read. Nothing here writes.

Every query carries the viewer's grants in its WHERE clause."""
