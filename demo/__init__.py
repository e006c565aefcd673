"""Real retail data, cut into files that `endcap load` imports and played as calls of the public API."""
