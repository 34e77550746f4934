use super::*;

#[test]
fn what_others_use_is_what_is_busy_and_not_ours() {
    let earlier = Ticks {
        all: 1000,
        busy: 500,
        ours: 100,
    };
    for (all, busy, ours, share) in [
        (1200, 700, 300, 0.0),
        (1200, 700, 200, 0.5),
        (1200, 500, 100, 0.0),
        (1200, 600, 250, 0.0),
    ] {
        assert_eq!(Ticks { all, busy, ours }.foreign_since(&earlier), share);
    }
}

#[test]
fn a_name_with_brackets_and_blanks_does_not_shift_the_fields() {
    let after = " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15";
    let fields: Vec<u64> = numbers(after).into_iter().skip(11).take(4).collect();
    assert_eq!(fields, [11, 12, 13, 14]);
}
