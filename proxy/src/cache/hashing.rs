//! How keys are hashed: by a random seed, so that nobody outside can choose keys that
//! collide. A debug build can be told to give all keys one hash: the leak suite shows
//! then that keys are told apart by what they hold and not by their hashes.

use ahash::{AHasher, RandomState};
use std::hash::{BuildHasher, Hasher};

/// Set to anything, it makes all keys of a debug build collide.
#[cfg(debug_assertions)]
const COLLIDE: &str = "CAMARAD_TEST_KEYS_COLLIDE";

/// Makes hashers of keys.
#[derive(Clone)]
pub(crate) struct KeyHashing {
    random: RandomState,
    collide: bool,
}

/// Hashes one key.
pub(crate) struct KeyHasher(Option<AHasher>);

impl KeyHashing {
    pub(super) fn new() -> Self {
        #[cfg(debug_assertions)]
        let collide = std::env::var_os(COLLIDE).is_some();
        #[cfg(not(debug_assertions))]
        let collide = false;
        Self {
            random: RandomState::new(),
            collide,
        }
    }
}

impl BuildHasher for KeyHashing {
    type Hasher = KeyHasher;

    fn build_hasher(&self) -> KeyHasher {
        KeyHasher((!self.collide).then(|| self.random.build_hasher()))
    }
}

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(hasher) = &mut self.0 {
            hasher.write(bytes);
        }
    }

    // Numbers by themselves: as bytes they would cost more.
    fn write_u8(&mut self, number: u8) {
        if let Some(hasher) = &mut self.0 {
            hasher.write_u8(number);
        }
    }

    fn write_u64(&mut self, number: u64) {
        if let Some(hasher) = &mut self.0 {
            hasher.write_u64(number);
        }
    }

    fn write_usize(&mut self, number: usize) {
        if let Some(hasher) = &mut self.0 {
            hasher.write_usize(number);
        }
    }

    fn finish(&self) -> u64 {
        self.0.as_ref().map_or(0, Hasher::finish)
    }
}
