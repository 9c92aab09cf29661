"""tensorgrad-gen: a compiler from tensor calculus in index notation to PyTorch."""
