"""What builds the book: run the notebooks, fetch the scripts of the pages."""
