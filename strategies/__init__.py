"""nasx.strategies."""
