"""Binance's formats."""
