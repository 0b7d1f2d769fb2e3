"""Try-ons as files that run without Python: graphs written, read back by other runtimes, and compared with
the pipeline.
"""
