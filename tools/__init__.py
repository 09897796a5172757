"""Scripts that build the book: they run the notebooks and fetch the scripts of the pages."""
