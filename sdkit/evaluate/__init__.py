"""How good are the pictures? Plain measures, networks that judge, and figures of the weights."""
