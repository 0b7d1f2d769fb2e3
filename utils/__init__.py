"""What any package may use: errors, paths, options, progress, devices."""
