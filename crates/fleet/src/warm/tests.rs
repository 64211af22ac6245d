use super::*;

const MARK: Mark = Mark {
    process_start_s: 1_700_000_000.25,
    next: 17,
    published_s: 1_700_000_123.456_789,
};

#[test]
fn a_name_comes_back_as_it_was() {
    for rank in [None, Some(3)] {
        let name = ("http://10.0.0.1:8000".to_owned(), rank);
        let text = write_name(&name, &MARK);
        let mut kept = Kept::new();
        let saved = SavedReplica {
            replica: ReplicaId(5),
            name: &text,
            mark: MARK.next,
        };
        assert_eq!(keep(&mut kept, &saved), Some(ReplicaId(5)));
        assert_eq!(kept.get(&name), Some(&(ReplicaId(5), MARK)));
    }
}

#[test]
fn a_name_that_makes_no_sense_is_left_out() {
    for text in ["", "http://a", "http://a x 1 2", "http://a - one 2"] {
        let saved = SavedReplica {
            replica: ReplicaId(0),
            name: text,
            mark: 1,
        };
        assert_eq!(keep(&mut Kept::new(), &saved), None, "{text:?}");
    }
}

#[test]
fn only_the_same_process_goes_on() {
    assert!(MARK.is_of(1_700_000_000.26));
    assert!(!MARK.is_of(1_700_000_002.0));
    let silent = Mark {
        process_start_s: 0.0,
        ..MARK
    };
    assert!(!silent.is_of(0.0), "who tells no start can't be recognised");
}

#[test]
fn a_file_holds_the_seed_and_is_nobody_elses() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("index");
    assert_eq!(snapshot_seed(&path), None);
    assert!(read(&path).expect("no file is no fault").is_none());
    write(&path, KeySeed(9), b"old").expect("written");
    write(&path, KeySeed(7), b"new").expect("written");
    assert_eq!(snapshot_seed(&path), Some(KeySeed(7)));
    let (seed, snapshot) = read(&path).expect("read").expect("there");
    assert_eq!((seed, snapshot.as_slice()), (KeySeed(7), b"new".as_slice()));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{mode:o}");
    }
}
