"""The hourly look at running promotions: what was expected, what was sold, where it surges, and what is proposed."""
