//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): reading it, and what a second request with it gets.
