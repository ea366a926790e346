"""The benchmarks that mCode brings, one module each."""
