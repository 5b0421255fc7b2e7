"""Who may do what: accounts, factors, keys, signatures, allowlists, limits, and the gate that asks them in order."""
