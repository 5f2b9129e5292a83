"""Transport: the way out for the few plugins that may send by themselves, to the byte."""
