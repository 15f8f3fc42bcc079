"""Stand-alone scripts that run an export with its own runtime, without kerastickets."""
