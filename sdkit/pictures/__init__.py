"""Photographs, paintings to learn from, results, and the marks that say that AI made them."""
