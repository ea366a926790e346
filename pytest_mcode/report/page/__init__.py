"""One HTML file of runs: read from disk in a browser, with nothing fetched; see docs/report.md."""
