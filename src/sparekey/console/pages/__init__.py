"""The console's pages: one module a topic, each with its routes, all on the shell."""
