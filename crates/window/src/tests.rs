use super::*;
use proptest::prelude::*;
use std::{
    fs,
    os::unix::net::{UnixListener, UnixStream},
};

const LEN: usize = 64 << 10;

/// A window as both processes have it.
fn both() -> (Window, Window) {
    let (made, file) = Window::make(LEN).unwrap();
    let (one, other) = UnixStream::pair().unwrap();
    hand(&one, &file).unwrap();
    let taken = take(&other).unwrap();
    (made, Window::open(&taken, LEN).unwrap())
}

#[test]
fn what_one_writes_the_other_reads() {
    let (one, other) = both();
    one.write(LEN - 5, b"bytes").unwrap();
    let mut read = [0; 5];
    other.read(LEN - 5, &mut read).unwrap();
    assert_eq!(&read, b"bytes");
    other.write(0, b"back").unwrap();
    one.read(0, &mut read[..4]).unwrap();
    assert_eq!(&read, b"backs");
}

#[test]
fn a_window_outlives_the_one_who_made_it() {
    let (one, other) = both();
    one.write(0, b"still").unwrap();
    drop(one);
    let mut read = [0; 5];
    other.read(0, &mut read).unwrap();
    assert_eq!(&read, b"still");
}

proptest! {
    /// Bytes are moved if all of them are within, and then only they.
    #[test]
    fn nothing_outside_is_touched(at in prop_oneof![0..2 * LEN, any::<usize>()], len in 0..2 * LEN) {
        let (window, _file) = Window::make(LEN).unwrap();
        let is_within = at.checked_add(len).is_some_and(|end| end <= LEN);
        prop_assert_eq!(window.write(at, &vec![7; len]).is_ok(), is_within);
        prop_assert_eq!(window.read(at, &mut vec![0; len]).is_ok(), is_within);
        let mut all = vec![1; LEN];
        window.read(0, &mut all).unwrap();
        let written = all.iter().filter(|byte| **byte == 7).count();
        prop_assert_eq!(written, if is_within { len } else { 0 });
        prop_assert!(all.iter().all(|byte| [0, 7].contains(byte)));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn nobody_can_cut_a_window_off() {
    let (window, file) = Window::make(LEN).unwrap();
    let file = fs::File::from(file);
    assert!(file.set_len(0).is_err());
    assert!(file.set_len(2 * LEN as u64).is_err());
    assert_eq!(file.metadata().unwrap().len(), LEN as u64);
    window.read(LEN - 1, &mut [0]).unwrap();
}

#[test]
fn a_file_that_may_be_cut_off_is_not_mapped() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(LEN as u64).unwrap();
    assert!(Window::open(&file.into(), LEN).is_err());
    let (_window, file) = Window::make(LEN).unwrap();
    assert!(Window::open(&file, 2 * LEN).is_err());
    assert!(Window::open(&file, LEN / 2).is_err());
}

#[test]
fn a_message_without_a_window_is_none() {
    use std::io::Write as _;
    let (mut one, other) = UnixStream::pair().unwrap();
    one.write_all(b"w").unwrap();
    assert!(take(&other).is_err());
    drop(one);
    assert!(take(&other).is_err());
}

#[test]
fn a_hatch_is_reached_at_its_address() {
    let folder = tempfile::tempdir().unwrap();
    for folder in [None, Some(folder.path())] {
        let hatch = Hatch::open(folder).unwrap();
        let _client = reach(hatch.address()).unwrap();
        hatch.listener().accept().unwrap();
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn sockets_of_the_dead_are_taken_away_and_those_of_others_stay() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let dead = format!("onefill-window-{:032x}", 7);
    drop(UnixListener::bind(path(&dead)).unwrap());
    drop(UnixListener::bind(path("other")).unwrap());
    let living = Hatch::open(Some(folder.path())).unwrap();
    let _second = Hatch::open(Some(folder.path())).unwrap();
    assert!(!path(&dead).exists());
    assert!(path("other").exists());
    reach(living.address()).unwrap();
}

#[test]
fn only_what_can_be_a_hatch_is_tried() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("docker.sock");
    let _other = UnixListener::bind(&path).unwrap();
    let zeros = "0".repeat(32);
    for address in [
        path.to_str().unwrap(),
        "",
        "@",
        "@other",
        &format!("onefill-window-{zeros}"),
        &format!("/tmp/../onefill-window-{}", &zeros[1..]),
    ] {
        let error = reach(address).unwrap_err();
        assert_eq!(
            error.kind(),
            std::io::ErrorKind::AddrNotAvailable,
            "{address}"
        );
    }
}
