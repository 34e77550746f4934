use std::path::Path;

use super::*;

#[test]
fn what_is_missing_is_out_of_reach_and_not_an_error() {
    let ended = run(Path::new("no-such-python"), &["install".as_ref()]).unwrap();
    assert_eq!(ended, Ended::NotReached("there is no no-such-python".into()));
}

#[test]
fn the_last_line_is_the_one_that_says_something() {
    assert_eq!(last_line(b"first\nERROR: the reason\n \n"), "ERROR: the reason");
    assert_eq!(last_line(b"\n"), "no message");
}
