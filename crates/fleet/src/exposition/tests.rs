use super::*;

#[test]
fn counters_are_typed_under_the_name_of_their_series() {
    let open = "# HELP a_b Words.\n# TYPE a_b counter\na_b_total 1\n# HELP c D.\n# TYPE c gauge\nc 2\n# UNIT e_seconds seconds\n# EOF\n";
    let plain = "# HELP a_b_total Words.\n# TYPE a_b_total counter\na_b_total 1\n# HELP c D.\n# TYPE c gauge\nc 2\n";
    assert_eq!(prometheus_text(open), plain);
}
