"""The benchmarks behind the timings in the book: `make bench`."""
