//! Solves planning problems beside the control loop: one at a time, the newest alone.

use tokio::sync::watch;

use crate::controller::message::Input;
use crate::plan;
use crate::plan::problem::Problem;

use super::inbox::Inbox;

/// A problem with its number.
type Posed = Option<(u64, Box<Problem>)>;

/// Where problems are put in. Dropping it ends the task behind it.
#[derive(Debug)]
pub struct Solver {
    problems: watch::Sender<Posed>,
}

impl Solver {
    /// Starts the task; answers come as [`Input::Solved`].
    pub fn start(inbox: Inbox) -> Self {
        let (problems, mut posed) = watch::channel::<Posed>(None);
        tokio::spawn(async move {
            while posed.changed().await.is_ok() {
                let Some((number, problem)) = posed.borrow_and_update().clone() else { continue };
                let solved = tokio::task::spawn_blocking(move || plan::best(&problem)).await;
                let plan = solved.ok().map(Box::new);
                if inbox.put(Input::Solved { number, plan }).await.is_err() {
                    return;
                }
            }
        });
        Self { problems }
    }

    /// Has a problem solved; one that still waits is dropped.
    pub fn solve(&self, number: u64, problem: Box<Problem>) {
        self.problems.send_replace(Some((number, problem)));
    }
}
