"""nasx: neural architecture search with a predictor in the loop."""
