//! Two runs of one flow held against each other, step by step.
