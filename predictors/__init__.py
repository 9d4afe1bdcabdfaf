"""nasx.predictors."""
