"""nasx.search_spaces."""
