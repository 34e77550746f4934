use super::*;

#[test]
fn crc32c_has_the_published_values() {
    // RFC 3720, appendix B.4, and the usual check value.
    let ascending: Vec<u8> = (0..32).collect();
    let descending: Vec<u8> = (0..32).rev().collect();
    let cases: [(&[u8], u32); 6] = [
        (b"", 0),
        (b"123456789", 0xe306_9283),
        (&[0; 32], 0x8a91_36aa),
        (&[0xff; 32], 0x62a8_ab43),
        (&ascending, 0x46dd_794e),
        (&descending, 0x113f_db5c),
    ];
    for (bytes, expected) in cases {
        assert_eq!(crc::crc32c(bytes), expected, "{bytes:?}");
    }
    // TensorFlow's mask: rotated right by 15 bits, plus a constant.
    assert_eq!(crc::masked(b""), 0xa282_ead8);
    assert_eq!(crc::masked(b"123456789"), 0xc78a_b0e5);
}

/// The records of a file, with their CRCs checked.
fn records(path: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(path).expect("a file");
    let mut rest = bytes.as_slice();
    let mut records = Vec::new();
    while !rest.is_empty() {
        let (length, after) = rest.split_at(8);
        let (length_crc, after) = after.split_at(4);
        let count = u64::from_le_bytes(length.try_into().expect("8 bytes")) as usize;
        let (record, after) = after.split_at(count);
        let (record_crc, after) = after.split_at(4);
        assert_eq!(length_crc, crc::masked(length).to_le_bytes());
        assert_eq!(record_crc, crc::masked(record).to_le_bytes());
        records.push(record.to_vec());
        rest = after;
    }
    records
}

/// Fields of a message: number and content, varints as eight bytes.
fn fields(mut message: &[u8]) -> Vec<(u8, Vec<u8>)> {
    fn varint(message: &mut &[u8]) -> u64 {
        let end = message.iter().position(|byte| byte & 0x80 == 0).expect("an end") + 1;
        let (own, rest) = message.split_at(end);
        *message = rest;
        own.iter()
            .rev()
            .fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f))
    }
    let mut found = Vec::new();
    while let Some((key, rest)) = message.split_first() {
        message = rest;
        let content = match key & 7 {
            0 => varint(&mut message).to_le_bytes().to_vec(),
            wire => {
                let count = match wire {
                    1 => 8,
                    5 => 4,
                    2 => varint(&mut message) as usize,
                    other => panic!("wire type {other}"),
                };
                let (own, rest) = message.split_at(count);
                message = rest;
                own.to_vec()
            }
        };
        found.push((key >> 3, content));
    }
    found
}

/// Step and scalars of the events that have any.
fn scalars(path: &Path) -> Vec<(u64, BTreeMap<String, f32>)> {
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("8 bytes"));
    let value = |(_, value): (u8, Vec<u8>)| match fields(&value).as_slice() {
        [(1, tag), (2, simple)] => {
            let simple = f32::from_le_bytes(simple.as_slice().try_into().expect("4 bytes"));
            (String::from_utf8(tag.clone()).expect("UTF-8"), simple)
        }
        other => panic!("{other:?}"),
    };
    let event = |record: Vec<u8>| match fields(&record).as_slice() {
        [(1, time), (2, step), (5, summary)] => {
            assert!(f64::from_le_bytes(time.as_slice().try_into().expect("8 bytes")) > 1.7e9);
            Some((number(step), fields(summary).into_iter().map(value).collect()))
        }
        _ => None,
    };
    records(path).into_iter().filter_map(event).collect()
}

/// What a reader makes of the files in the order of their names: a session start takes back later steps.
fn merged(folder: &Path) -> BTreeMap<u64, f32> {
    let entries = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path());
    let paths: std::collections::BTreeSet<PathBuf> = entries.collect();
    let mut steps = BTreeMap::new();
    for path in paths {
        let start = fields(&records(&path)[1])[1].1.clone();
        steps.split_off(&u64::from_le_bytes(start.try_into().expect("8 bytes")));
        steps.extend(
            scalars(&path)
                .into_iter()
                .map(|(step, values)| (step, values["actor/pg_loss"])),
        );
    }
    steps
}

#[test]
fn a_step_replayed_after_a_crash_has_one_value() {
    let folder = tempfile::tempdir().expect("folder");
    let mut first = EventFile::create(folder.path(), 1).expect("a file");
    for step in 1..=4 {
        first.append(step, &metrics(step as f64)).expect("writes");
    }
    // Killed; the checkpoint is of step 2, and step 4 is not reached again.
    let mut second = EventFile::create(folder.path(), 3).expect("a file");
    second.append(3, &metrics(-3.0)).expect("writes");
    assert_eq!(merged(folder.path()), BTreeMap::from([(1, 1.0), (2, 2.0), (3, -3.0)]));
}

fn metrics(loss: f64) -> BTreeMap<String, f64> {
    BTreeMap::from([
        ("actor/pg_loss".to_owned(), loss),
        ("training/global_step".to_owned(), 300.0),
    ])
}

#[test]
fn a_file_has_its_version_a_session_start_and_a_record_per_step() {
    let folder = tempfile::tempdir().expect("folder");
    let mut events = EventFile::create(folder.path(), 300).expect("a file");
    events.append(300, &metrics(-0.125)).expect("writes");
    events.append(301, &metrics(0.25)).expect("writes");
    let found = records(&events.path);
    let numbers = |at: usize| {
        fields(&found[at])
            .into_iter()
            .map(|(field, _)| field)
            .collect::<Vec<_>>()
    };
    assert_eq!(fields(&found[0])[2], (3, b"brain.Event:2".to_vec()));
    assert_eq!((numbers(0), numbers(1)), (vec![1, 2, 3], vec![1, 2, 7]));
    assert_eq!(fields(&found[1])[1].1, 300u64.to_le_bytes());
    assert_eq!(fields(&found[1])[2].1, [1 << 3, 1]);
    let losses: Vec<_> = scalars(&events.path)
        .into_iter()
        .map(|(step, values)| (step, values["actor/pg_loss"], values["training/global_step"]))
        .collect();
    assert_eq!(losses, [(300, -0.125, 300.0), (301, 0.25, 300.0)]);
}

#[test]
fn each_start_has_a_file_that_sorts_last() {
    let folder = tempfile::tempdir().expect("folder");
    let mut paths = Vec::new();
    for step in [1, 5, 5, 9] {
        paths.push(EventFile::create(folder.path(), step).expect("a file").path);
    }
    // From a clock that was ahead.
    fs::write(folder.path().join("events.out.tfevents.9999999998.000009.svs"), b"").expect("writes");
    paths.push(EventFile::create(folder.path(), 12).expect("a file").path);
    let sorted: std::collections::BTreeSet<_> = paths.iter().cloned().collect();
    assert_eq!(sorted.into_iter().collect::<Vec<_>>(), paths);
    let folder = folder.path().join("gone");
    let error = EventFile::create(&folder, 1).expect_err("no folder").to_string();
    assert!(error.contains("gone"), "{error}");
}
