"""histoscale: arbitrary-scale super-resolution for H&E histopathology."""
