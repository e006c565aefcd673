"""Vendor funding: agreements, the promotions that they pay for, and what sales and returns accrue by them."""
