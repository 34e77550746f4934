use super::watch::{resident, spent};
use super::{filter, root, users};

#[test]
fn memory_and_time_are_read_from_the_kernels_files() {
    let status = "Name:\tRssAnon: 9 kB\nVmRSS:\t 900 kB\nRssAnon:\t     100 kB\nRssFile:\t 700 kB\nRssShmem:\t 20 kB\nVmSwap:\t 3 kB\n";
    assert_eq!(resident(status), 123 << 10);
    assert_eq!(resident("Name:\tx\n"), 0);
    // Fields 14 to 17 of proc(5); the name may look like fields.
    let stat = "7 (a) b) 1 2) S 1 7 7 0 -1 4194304 10 20 30 40 5 6 7 8 20 0 1 0 999";
    assert_eq!(spent(stat), 5 + 6 + 7 + 8);
    assert_eq!(spent(""), 0);
}

#[test]
fn the_filter_compiles_with_and_without_signals() {
    let (apart, shared) = (filter::compile(true).unwrap(), filter::compile(false).unwrap());
    assert!(apart.len() > shared.len() && shared.len() > 100);
}

#[test]
fn paths_inside_others_are_shown_once() {
    let paths = ["/usr/lib", "/lib", "/usr/lib/python3", "/usr/lib64", "/lib"].map(Into::into);
    let kept: Vec<_> = root::outermost(&paths)
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    assert_eq!(kept, ["/lib", "/usr/lib", "/usr/lib64"]);
}

#[test]
fn a_user_map_knows_its_ranges() {
    let cases = [
        ("         0          0 4294967295\n", true),
        ("0 1000 1\n", false),
        ("0 1000 1\n1 100000 65536\n", true),
        ("", false),
    ];
    for (map, expected) in cases {
        assert_eq!(users::knows(map, 65_534), expected, "{map:?}");
    }
}
