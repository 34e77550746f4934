use super::processes::{resident, spent};
use super::{filter, root, users};

#[test]
fn memory_and_time_are_read_from_the_kernels_files() {
    let status = "Name:\tRssAnon: 9 kB\nVmRSS:\t 900 kB\nRssAnon:\t     100 kB\nRssFile:\t 700 kB\nRssShmem:\t 20 kB\nVmSwap:\t 3 kB\n";
    assert_eq!(resident(status), Some(123 << 10));
    assert_eq!(resident("Name:\tRssAnon: 9 kB\nThreads:\t2\n"), None);
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

#[test]
fn a_folder_is_removed_whatever_lies_in_it() {
    let home = super::home::make().unwrap();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("kept"), "").unwrap();
    // Deeper than paths and descriptors reach, with names that the removal uses, links out, and closed folders.
    let mut folder = home.clone();
    for depth in 0..40 {
        folder = folder.join("f".repeat(80));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("moved-3"), "").unwrap();
        if depth % 10 == 0 {
            std::fs::create_dir_all(home.join(format!("moved-{depth}/below"))).unwrap();
        }
    }
    std::os::unix::fs::symlink(outside.path(), home.join("link")).unwrap();
    let closed = home.join("closed");
    std::fs::create_dir_all(closed.join("inside")).unwrap();
    std::fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o0)).unwrap();
    super::home::remove(&home);
    assert!(!home.exists());
    assert!(outside.path().join("kept").exists());
}

#[test]
fn folders_have_names_of_their_own() {
    let [one, other] = [super::home::make(), super::home::make()].map(Result::unwrap);
    assert_ne!(one, other);
    for home in [one, other] {
        let mode = std::os::unix::fs::PermissionsExt::mode(&home.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o700);
        super::home::remove(&home);
    }
}
