"""Pictures in and out: photographs, paintings to learn from, outputs and how they say that AI made them."""
