//! The native client over TLS.

use super::{Running, WAIT, block, get_one, numbers};
use onefill_store::{TlsFiles as StoreFiles, WindowsAt, door::NativeOptions};
use onefill_wire::{
    client::{Client, ClientConfig, TlsFiles, WINDOW_BYTES},
    native::Verdict,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
};

struct Authority {
    file: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

fn authority(folder: &Path, name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let file = folder.join(format!("{name}.pem"));
    fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(params, key);
    Authority { file, issuer }
}

/// A certificate for this machine from that authority, and its key.
fn issued(folder: &Path, name: &str, by: &Authority) -> (PathBuf, PathBuf) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &by.issuer).unwrap();
    let files = ["pem", "key"].map(|end| folder.join(format!("{name}.{end}")));
    fs::write(&files[0], certificate.pem()).unwrap();
    fs::write(&files[1], key.serialize_pem()).unwrap();
    let [certificate, key] = files;
    (certificate, key)
}

fn client(store: &Running, files: &TlsFiles, window_bytes: usize) -> Client {
    Client::new(ClientConfig {
        address: store.address.to_string(),
        namespace: String::new(),
        token: String::new(),
        tls: Some(files.read().unwrap()),
        connect_timeout: WAIT,
        idle_max: 8,
        window_bytes,
    })
}

#[test]
fn only_the_right_certificates_open_the_door_and_bytes_travel_whole() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (ours, others) = (authority(folder, "ours"), authority(folder, "others"));
    let (certificate, key) = issued(folder, "store", &ours);
    let (friend, stranger) = (
        issued(folder, "friend", &ours),
        issued(folder, "stranger", &others),
    );
    let tls = StoreFiles {
        certificate,
        key,
        client_authorities: Some(ours.file.clone()),
    };
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let tls = Some(tls.read().unwrap());
    let store = Running::over(socket, NativeOptions::default(), WindowsAt::Here, tls);
    let right = TlsFiles {
        authorities: Some(ours.file.clone()),
        identity: Some(friend),
    };
    let bytes = numbers(1, 3 << 20);
    for (key, window_bytes) in [(b"a", 0), (b"b", WINDOW_BYTES)] {
        let client = client(&store, &right, window_bytes);
        let put = client.put(&[block(key, &bytes)], WAIT).unwrap();
        assert_eq!(put, [Verdict::Done]);
        assert!(get_one(&client, key, 3 << 20) == (Verdict::Done, bytes.clone()));
        assert_eq!(client.windows(), usize::from(window_bytes > 0));
    }
    for wrong in [
        TlsFiles {
            authorities: Some(others.file),
            ..right.clone()
        },
        TlsFiles {
            identity: Some(stranger),
            ..right.clone()
        },
        TlsFiles {
            identity: None,
            ..right
        },
    ] {
        let client = client(&store, &wrong, 0);
        assert!(client.exists(&[b"a"], false, WAIT).is_err(), "{wrong:?}");
    }
    let plain = store.client("", "");
    assert!(plain.exists(&[b"a"], false, WAIT).is_err());
}

#[test]
fn a_file_that_is_none_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (empty, missing) = (folder.path().join("empty"), folder.path().join("missing"));
    fs::write(&empty, "").unwrap();
    for path in [empty, missing] {
        let files = TlsFiles {
            authorities: Some(path.clone()),
            identity: None,
        };
        let fault = files.read().unwrap_err().to_string();
        assert!(fault.contains(path.to_str().unwrap()), "{fault}");
    }
}
