use super::*;
use onefill_schedule::Policy;

fn faults(text: &str) -> Vec<String> {
    let faults = read("c.toml", text).expect_err("faults");
    faults.0.iter().map(ToString::to_string).collect()
}

#[test]
fn every_fault_is_named_at_once_with_its_line() {
    let text = "listen = \"nowhere\"\npolcy = \"kv\"\n\n[limits]\nbody_bytes = \"much\"\nqueue = -1\n\n[[replica]]\nevents = \"tcp://h:1\"\n\n[timeouts]\nheader_ms = 0\ndrain = 5\n";
    assert_eq!(
        faults(text),
        [
            "c.toml:1: listen: `nowhere` is no address: expected HOST:PORT",
            "c.toml:9: replica: needs a url",
            "c.toml:5: limits.body_bytes: expected a whole number, found string",
            "c.toml:6: limits.queue: must be from 0 to 1048576",
            "c.toml:12: timeouts.header_ms: must be from 1 to 86400000",
            "c.toml:13: unknown key `timeouts.drain`",
            "c.toml:2: unknown key `polcy`; did you mean `policy`?",
        ]
    );
}

#[test]
fn broken_toml_has_a_line_too() {
    let found = faults("listen = \"a:1\"\npolicy = \n");
    assert!(
        found.iter().any(|fault| fault.starts_with("c.toml:2:")),
        "{found:?}"
    );
}

#[test]
fn what_is_printed_reads_as_the_same() {
    let text = r#"
        listen = "0.0.0.0:1"
        admin = "[::1]:2"
        policy = "session"
        events = false
        tokenizer = "simulated"
        key_seed = 7
        threads = 3
        [tokenizers]
        "org/model" = "folder"
        [tls]
        certificate = "c"
        key = "k"
        upstream_authorities = "a"
        [[replica]]
        url = "http://h:1/"
        events = "tcp://h:2"
        block_tokens = 32
        [record]
        folder = "r"
        bytes = 1048576
        [fleet]
        probe_timeout_ms = 5
        [limits]
        attempts = 9
        [circuit]
        open_ms = 11
    "#;
    let settings = read("c.toml", text).expect("good");
    assert_eq!(settings.policy, Policy::Session);
    assert_eq!(settings.limits.attempts_max, 9);
    assert_ne!(settings, Settings::default());
    assert_eq!(
        read("p.toml", &print(&settings)).expect("printed"),
        settings
    );
    assert_eq!(
        read("p.toml", &print(&Settings::default())).expect("printed"),
        Settings::default()
    );
}

#[test]
fn replicas_come_from_one_place() {
    let found = faults("[discovery]\nfile = \"a\"\ndns = \"b:1\"\n");
    assert_eq!(found.len(), 1, "{found:?}");
    let kubernetes = "[discovery.kubernetes]\nselector = \"app=a\"\nport = 8000\n";
    let settings = read("c.toml", kubernetes).expect("good");
    assert_eq!(
        settings.replicas,
        Replicas::Kubernetes(None, "app=a".into(), Some(8000))
    );
    assert_eq!(read("p", &print(&settings)).expect("printed"), settings);
}

#[test]
fn flags_stand_over_the_file_and_their_faults_are_named_together() {
    let file = "policy = \"session\"\n[[replica]]\nurl = \"http://h:1\"\nblock_tokens = 32\n";
    let mut settings = read("c.toml", file).expect("good");
    let flags = Flags {
        replica: vec!["http://h:1".into(), "http://i:2".into()],
        policy: Some("prefix".into()),
        no_events: true,
        ..Flags::default()
    };
    let mut found = Faults::default();
    flags.over(&mut settings, &mut found);
    assert_eq!(found, Faults::default());
    assert_eq!((settings.policy, settings.events), (Policy::Prefix, false));
    let Replicas::Static(specs) = &settings.replicas else {
        panic!("given replicas")
    };
    let blocks: Vec<_> = specs.iter().map(|spec| spec.block_tokens).collect();
    assert_eq!(
        blocks,
        [Some(32), None],
        "what the file says of a replica stays true"
    );

    let wrong = Flags {
        listen: Some("x".into()),
        policy: Some("best".into()),
        replica: vec!["h:1".into()],
        dns: Some("a".into()),
        ..Flags::default()
    };
    wrong.over(&mut settings, &mut found);
    let places: Vec<_> = found.0.iter().map(|fault| fault.place.as_str()).collect();
    assert_eq!(places, ["--listen", "--policy", "--dns", "--replica"]);
}

#[test]
fn nobody_to_route_to_is_a_fault() {
    let mut found = Faults::default();
    Flags::default().over(&mut Settings::default(), &mut found);
    assert_eq!(found.0.len(), 1);
}
