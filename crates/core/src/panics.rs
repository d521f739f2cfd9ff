use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs code that may panic and is not the caller's own, such as an engine that walks into a damaged page, and
/// makes an error of the panic's message.
///
/// Such a panic must not take the process down, or a thread with everybody who waits for it. The caller uses
/// nothing of `work` afterwards. A program built with `panic = "abort"` is ended all the same.
///
/// # Errors
///
/// Those of `work`, and what `panicked` makes of a panic.
pub fn contain<T, E>(
    work: impl FnOnce() -> Result<T, E>,
    panicked: impl FnOnce(&str) -> E,
) -> Result<T, E> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        Err(panicked(message))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_that_tells_its_message() {
        let told = |message: &str| message.to_owned();
        let text = contain(|| -> Result<(), String> { panic!("page 7") }, told);
        let formatted = contain(|| -> Result<(), String> { panic!("page {}", 7) }, told);
        assert_eq!(
            (text, formatted),
            (Err("page 7".into()), Err("page 7".into()))
        );
        assert_eq!(
            contain(|| Err::<(), _>("damaged".to_owned()), told),
            Err("damaged".into())
        );
        assert_eq!(contain(|| Ok(3), told), Ok(3));
    }
}
