"""Promotions: defined, agreed, their prices published to every channel and place, seen there, and taken back."""
