"""Scripts that run an export with its own runtime and without kerastickets; each stands alone."""
