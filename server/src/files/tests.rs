//! Files on the disk: bounds, leftovers, restarts.

use super::*;

const LINE: &[u8] = b"{\"messages\": [{\"role\": \"user\", \"content\": \"2 + 2?\"}]}\n";

struct Bench {
    runs: tempfile::TempDir,
    own: Option<OwnFolder>,
}

impl Bench {
    fn new() -> Self {
        let runs = tempfile::tempdir().expect("a folder");
        let own = Some(OwnFolder::take(runs.path()).expect("free"));
        Self { runs, own }
    }

    fn files(&self, config: FilesConfig) -> Arc<Files> {
        Files::open(Ok(self.own.as_ref().expect("held")), config)
    }

    fn entries(&self) -> usize {
        fs::read_dir(self.runs.path().join(".api/files"))
            .expect("there")
            .count()
    }
}

fn put(files: &Arc<Files>, name: &str) -> Result<Arc<Stored>, FileError> {
    let mut upload = files.begin()?;
    upload.write(LINE)?;
    upload.finish(name.into())
}

#[test]
fn files_survive_a_restart_and_leftovers_do_not() {
    let bench = Bench::new();
    let files = bench.files(FilesConfig::default());
    let kept: Vec<_> = ["a", "b", "c"].map(|name| put(&files, name).expect("taken")).into();
    files.delete(&kept[1].id).expect("removed");
    // As if the process had been killed in the middle of an upload.
    let mut cut = files.begin().expect("room");
    cut.write(LINE).expect("room");
    std::mem::forget(cut);
    assert_eq!(bench.entries(), 3);
    let again = bench.files(FilesConfig::default());
    let found = again.list().expect("available");
    assert_eq!(found, [Arc::clone(&kept[0]), Arc::clone(&kept[2])]);
    assert_eq!(bench.entries(), 2);
    assert_eq!(fs::read(again.content(&kept[0].id).expect("held")).expect("read"), LINE);
    assert!(matches!(again.delete(&kept[1].id), Err(FileError::Unknown(_))));
}

#[test]
fn an_upload_that_does_not_end_well_leaves_nothing() {
    let bench = Bench::new();
    let files = bench.files(FilesConfig::default());
    drop(files.begin().expect("room"));
    let mut bad = files.begin().expect("room");
    bad.write(b"{}").expect("room");
    let error = bad.finish("x".into()).expect_err("no messages").to_string();
    assert_eq!(error, "line 1: `messages`: is missing");
    let held = files.held();
    assert_eq!((bench.entries(), held.uploads, held.coming), (0, 0, 0));
}

#[test]
fn every_bound_holds_and_room_comes_back() {
    let bench = Bench::new();
    let bytes = LINE.len() as u64;
    let config = FilesConfig {
        max_file_bytes: 2 * bytes,
        max_files: 2,
        max_total_bytes: 3 * bytes,
        max_uploads: 1,
        ..FilesConfig::default()
    };
    let files = bench.files(config);
    let mut first = files.begin().expect("room");
    assert!(matches!(files.begin(), Err(FileError::Busy)));
    first.write(LINE).and_then(|()| first.write(LINE)).expect("room");
    assert!(matches!(first.write(b" "), Err(FileError::TooLarge(_))));
    first.finish("a".into()).expect("taken");
    let mut second = files.begin().expect("room");
    second.write(LINE).expect("room");
    assert!(matches!(second.write(b" "), Err(FileError::Full(_))), "all bytes");
    let second = second.finish("b".into()).expect("taken");
    assert!(matches!(files.begin(), Err(FileError::Full(_))), "the number of files");
    files.delete(&second.id).expect("removed");
    put(&files, "c").expect("room again");
}

#[test]
fn a_second_process_keeps_no_files() {
    let mut bench = Bench::new();
    let refused = OwnFolder::take(bench.runs.path()).expect_err("held");
    let files = Files::open(Err(&refused), FilesConfig::default());
    assert!(matches!(files.begin(), Err(FileError::Unavailable(_))));
    bench.own = None;
    OwnFolder::take(bench.runs.path()).expect("free again");
}
