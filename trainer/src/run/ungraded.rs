//! Graders that fail: told of at every step, and no more steps without a single reward than the configuration allows.

use super::TrainError;
use super::tally::Tally;

/// Tells what of a step could not be graded. `in_a_row` counts the steps up to this one of which nothing could.
///
/// # Errors
/// [`TrainError::Run`] naming the graders if they are more than `most`, `reward.max_ungraded_steps`.
pub(super) fn check(step: u64, tally: &Tally, in_a_row: &mut u64, most: u64) -> Result<(), TrainError> {
    let (ungraded, graded) = (tally.ungraded(), tally.graded());
    if ungraded == 0 || graded > 0 {
        *in_a_row = 0;
    } else {
        *in_a_row += 1;
    }
    if ungraded == 0 {
        return Ok(());
    }
    let (all, failed) = (ungraded + graded, tally.failed_graders());
    if *in_a_row > most {
        return Err(TrainError::Run(format!(
            "of {in_a_row} steps in a row no response could be graded, more than reward.max_ungraded_steps = {most}; in \
             step {step} {failed}. Without rewards nothing is learned: repair the grader and resume the run"
        )));
    }
    tracing::warn!(
        step,
        "{ungraded} of {all} responses could not be graded and are not trained on: {failed}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::svs::testing::group;
    use svs_verifier::Verdict;

    /// Counts of a step with so many responses that could not be graded, by two graders, and that could.
    fn tally(faults: usize, graded: usize) -> Tally {
        let mut tally = Tally::default();
        let members = group("p", 1, 1).members;
        for at in 0..faults + graded {
            let mut member = members[0].clone();
            if let Some(finding) = member.verdicts.last_mut().filter(|_| at < faults) {
                (finding.verdict, finding.reward) = (Verdict::Infrastructure, None);
                finding.grader = if at == 0 { "once" } else { "judge" }.into();
                finding.explanation = (at > 0).then(|| format!("refused {at}"));
            }
            tally.count(&member);
        }
        tally
    }

    #[test]
    fn steps_without_a_reward_are_bounded_and_a_single_reward_begins_the_count_anew() {
        let mut in_a_row = 0;
        for (faults, graded, counted) in [
            (3, 0, 1),
            (3, 0, 2),
            (3, 1, 0),
            (0, 4, 0),
            (3, 0, 1),
            (0, 0, 0),
            (3, 0, 1),
            (3, 0, 2),
        ] {
            check(1, &tally(faults, graded), &mut in_a_row, 2).expect("within the bound");
            assert_eq!(in_a_row, counted, "{faults} {graded}");
        }
        let error = check(9, &tally(3, 0), &mut in_a_row, 2)
            .expect_err("one too many")
            .to_string();
        for said in [
            "3 steps in a row",
            "max_ungraded_steps = 2",
            "step 9",
            "2 by grader `judge` (refused 1)",
            "1 by grader `once` (it gives no reason)",
        ] {
            assert!(error.contains(said), "{error}");
        }
        check(1, &tally(1, 0), &mut 0, 0).expect_err("at once");
    }
}
