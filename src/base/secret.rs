//! A value that must not be seen.

use zeroize::Zeroize;

/// A secret: it cannot be printed, logged or serialised, and is wiped when dropped.
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes the value into custody.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// Lends the value. The name is long so that every use is easy to find.
    pub const fn expose_secret(&self) -> &T {
        &self.0
    }

    /// Lends the value to be filled in place, so that no copy of it stays behind.
    pub const fn expose_secret_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
