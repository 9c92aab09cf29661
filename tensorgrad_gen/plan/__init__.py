"""From derivatives to steps: sharing, contraction order, what is saved."""
