"""Claims against vendors: prepared from what has accrued, agreed, sent, answered, settled."""
