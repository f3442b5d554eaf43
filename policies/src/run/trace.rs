//! The trace of a run: one versioned schema, as JSON and as CSV.
