//! What is looked at before a run: what forbids it, and what should be known about it.
