"""The one writer: order, decide, commit, publish. Declares the ports that storage makes real."""
