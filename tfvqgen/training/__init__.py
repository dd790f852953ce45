"""Training of all stages: one loop, exact resume, any strategy."""
