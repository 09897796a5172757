"""What the speed figures of the book come from: `make bench`."""
