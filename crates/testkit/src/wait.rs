//! Waiting for a condition with a limit; the failure says what was last seen.
//!
//! Never waits for a duration: the pause between two looks is the polling interval, not a guess at
//! how long something takes.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::Instant;

/// Between two looks: short against everything that tests wait for, long against the cost of a look.
const INTERVAL: Duration = Duration::from_millis(25);

/// A condition that did not come true in time. Fail the test with it.
#[derive(Debug, thiserror::Error)]
#[error("`{what}` did not come true within {limit:?}; last status: {last}")]
pub struct WaitError {
    /// What was waited for.
    pub what: String,
    /// How long.
    pub limit: Duration,
    /// What the last look said.
    pub last: String,
}

/// Looks with `probe` until it answers `Ok`, at most for `limit`; `Err` of the probe is "not yet"
/// and says what was seen.
///
/// # Errors
/// [`WaitError`] with the last status. A look that hangs is cut off at the limit, too.
pub async fn until<T, S: Display>(
    limit: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> Result<T, S>,
) -> Result<T, WaitError> {
    let end = Instant::now() + limit;
    let mut last = String::from("never looked");
    loop {
        match tokio::time::timeout_at(end, probe()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(status)) => last = status.to_string(),
            Err(_elapsed) => {
                last = format!("a look hung, before it: {last}");
            }
        }
        if Instant::now() >= end {
            return Err(WaitError { what: what.to_owned(), limit, last });
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Looks with `probe` again and again for `window`; `Err` says what was seen that must not be.
///
/// # Errors
/// The first `Err` of the probe, at once.
pub async fn throughout<S: Display>(
    window: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> Result<(), S>,
) -> Result<(), WaitError> {
    let end = Instant::now() + window;
    while Instant::now() < end {
        if let Err(status) = probe().await {
            let (what, last) = (format!("always: {what}"), status.to_string());
            return Err(WaitError { what, limit: window, last });
        }
        tokio::time::sleep(INTERVAL).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_condition_that_comes_true_ends_the_wait() {
        let mut looks = 0;
        let found = until(Duration::from_secs(5), "third look", async || {
            looks += 1;
            if looks == 3 { Ok("seen") } else { Err(format!("look {looks}")) }
        })
        .await;
        assert_eq!(found.unwrap(), "seen");
    }

    #[tokio::test]
    async fn a_condition_that_stays_false_fails_with_the_last_status() {
        let error =
            until::<(), _>(Duration::from_millis(100), "the sun to rise", async || Err("dark"))
                .await
                .unwrap_err();
        assert_eq!(
            error.to_string(),
            "`the sun to rise` did not come true within 100ms; last status: dark"
        );
    }

    #[tokio::test]
    async fn a_look_that_hangs_is_cut_off() {
        let error = until::<(), &str>(Duration::from_millis(100), "an answer", async || {
            std::future::pending().await
        })
        .await
        .unwrap_err();
        assert!(error.last.contains("hung"), "{error}");
    }

    #[tokio::test]
    async fn a_condition_that_must_hold_is_looked_at_until_the_end() {
        let window = Duration::from_millis(100);
        throughout(window, "peace", async || Ok::<(), &str>(())).await.unwrap();
        let mut looks = 0;
        let error = throughout(window, "peace", async || {
            looks += 1;
            if looks == 2 { Err("war") } else { Ok(()) }
        })
        .await
        .unwrap_err();
        assert!(error.to_string().contains("last status: war"), "{error}");
    }
}
