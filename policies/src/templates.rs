//! The business templates that come with the sidecar.
