"""Mutation testing: what the tests of the gate, the limits and the signatures would not notice."""
