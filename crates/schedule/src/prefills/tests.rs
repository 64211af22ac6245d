use super::*;

fn work(seconds: f64) -> Work {
    Work {
        seconds,
        computed_tokens: 1000.0 * seconds,
        loaded_tokens: [0.0; 4],
    }
}

fn at(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

#[test]
fn the_first_one_is_done_bit_by_bit() {
    let mut prefills = Prefills::default();
    prefills.push(at(10.0), 1, work(4.0));
    prefills.push(at(11.0), 2, work(2.0));
    assert_eq!(prefills.left(at(11.0)).seconds, 5.0);
    assert_eq!(prefills.left(at(11.0)).computed_tokens, 5000.0);
    prefills.remove(at(14.0), 1);
    assert_eq!(prefills.left(at(15.0)).seconds, 1.0);
    prefills.remove(at(16.0), 2);
    assert_eq!(prefills.left(at(17.0)), Work::default());
}

#[test]
fn a_replica_that_stalls_still_has_the_others_to_do() {
    let mut prefills = Prefills::default();
    prefills.push(at(0.0), 1, work(1.0));
    prefills.push(at(0.0), 2, work(2.0));
    assert_eq!(prefills.left(at(1000.0)).seconds, 2.0);
}
