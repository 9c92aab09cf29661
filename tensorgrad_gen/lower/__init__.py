"""From steps to torch calls."""
