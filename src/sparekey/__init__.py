"""Sparekey: the exchange's side of an API key, on your own machine."""
