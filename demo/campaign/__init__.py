"""A campaign of the real data, from its coupons to the makers' money: what it is (`cut`), what is sent (`bodies`), how
it is played (`scene`, `claims`, `clock`), and what the raw data say that it should have come to (`raw`, `outcome`).
"""
