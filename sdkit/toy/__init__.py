"""Toy models of points in the plane, small enough to watch all of their behaviour."""
