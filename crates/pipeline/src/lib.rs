//! Work in progress: this is the public shape, the bodies follow.
