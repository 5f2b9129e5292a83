"""Going back to a state that is known to be good, and being able to tell that it is."""
