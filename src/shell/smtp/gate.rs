//! The gate in front of logins: one at a time, and none for a minute after a refusal.
//!
//! The breaker alone does not do it: a crowd that finds the relay well enters together, and a password that is wrong is
//! then tried as often as there are places, which locks the account as surely as trying again and again.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use super::Trouble;
use crate::plan::delivery::{Failure, Outcome, Stage, conclude};

/// For so long a refusal answers for all. Relays that lock accounts count by the minute or slower.
const PAUSE: Duration = Duration::from_secs(60);

/// The last refusal, and the turn to log in.
#[derive(Debug, Default)]
pub struct Gate(Mutex<Option<(Instant, Trouble)>>);

impl Gate {
    /// Logs in, unless that was refused a moment ago: then the same answer holds, and nothing is said.
    pub(super) async fn pass(
        &self,
        deadline: Instant,
        login: impl Future<Output = Result<(), Trouble>>,
    ) -> Result<(), Trouble> {
        let turn = timeout_at(deadline, self.0.lock()).await;
        let mut refusal = turn.map_err(|_| (Stage::Login, Failure::Timeout))?;
        if let Some((at, trouble)) = &*refusal
            && at.elapsed() < PAUSE
        {
            return Err(trouble.clone());
        }
        let result = login.await;
        let refused = |(stage, failure): &&Trouble| {
            matches!(conclude(*stage, failure.clone()), Outcome::Relay { login: true, .. })
        };
        *refusal = result.as_ref().err().filter(refused).map(|trouble| (Instant::now(), trouble.clone()));
        result
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::plan::delivery::Reply;

    fn refused() -> Trouble {
        (Stage::Login, Failure::Rejected(Reply { code: 535, enhanced: None, text: String::new() }))
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_with_a_wrong_password_tries_it_once_a_minute() {
        let (gate, tries) = (Gate::default(), AtomicUsize::new(0));
        let login = async || {
            tries.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_secs(1)).await;
            Err(refused())
        };
        let late = || Instant::now() + Duration::from_secs(100);
        let answers = futures::future::join_all((0..16).map(|_| gate.pass(late(), login()))).await;
        assert!(answers.iter().all(|answer| *answer == Err(refused())));
        assert_eq!(tries.load(Ordering::SeqCst), 1);
        tokio::time::advance(PAUSE).await;
        assert_eq!(gate.pass(late(), login()).await, Err(refused()));
        assert_eq!(tries.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_login_that_works_or_a_lost_connection_stops_nobody() {
        let gate = Gate::default();
        let deadline = Instant::now() + PAUSE;
        let lost = (Stage::Login, Failure::Reset);
        assert_eq!(gate.pass(deadline, async { Err(lost.clone()) }).await, Err(lost));
        assert_eq!(gate.pass(deadline, async { Ok(()) }).await, Ok(()));
        assert_eq!(gate.pass(deadline, async { Ok(()) }).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_its_turn_beyond_its_deadline() {
        let gate = Gate::default();
        let hanging = gate.pass(Instant::now() + PAUSE, std::future::pending());
        let waiting = gate.pass(Instant::now() + PAUSE / 2, async { Ok(()) });
        let answer = tokio::select! {
            biased; // The hanging one comes first, or it would be the other's turn.
            answer = hanging => answer,
            answer = waiting => answer,
        };
        assert_eq!(answer, Err((Stage::Login, Failure::Timeout)));
    }
}
