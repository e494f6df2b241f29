"""The kit in a browser tab: turn the networks into files that the page in ``web/`` can run."""
