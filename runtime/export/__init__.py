"""Try-ons as files that run without Python: graphs written, read by other runtimes, and compared."""
