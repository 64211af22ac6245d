//! TLS on both sides, and API keys.

use crate::{
    CHAT, HELLO, Router, answer, config,
    fake::Fake,
    http::{client_tls, connect, connect_tls, server_tls},
    within,
};

#[tokio::test]
async fn clients_may_come_over_tls() {
    let fake = Fake::start(answer).await;
    let mut config = config();
    config.tls = Some(server_tls());
    let router = Router::start(config, &[&fake]).await;
    let mut client = connect_tls(router.main).await;
    assert_eq!(within(client.post(CHAT, "", HELLO)).await.status, 200);
    assert_eq!(fake.bodies(), [HELLO]);
}

#[tokio::test]
async fn keys_are_asked_of_clients_but_not_of_probes() {
    let fake = Fake::start(answer).await;
    let mut config = config();
    config.api_keys = vec!["first".into(), "second".into()];
    let router = Router::start(config, &[&fake]).await;
    let mut client = connect(router.main).await;
    for wrong in [
        "",
        "authorization: Bearer secon\r\n",
        "authorization: second\r\n",
    ] {
        assert_eq!(
            within(client.post(CHAT, wrong, HELLO)).await.error(),
            "401 invalid_api_key"
        );
    }
    assert!(fake.bodies().is_empty());
    let right = "authorization: Bearer second\r\n";
    assert_eq!(within(client.post(CHAT, right, HELLO)).await.status, 200);
    assert_eq!(within(client.get("/health")).await.status, 200);
    assert_eq!(within(client.get("/ready")).await.status, 200);
    assert_eq!(
        within(client.get("/v1/models")).await.error(),
        "401 invalid_api_key"
    );
}

#[tokio::test]
async fn replicas_may_be_asked_over_tls() {
    let fake = Fake::secure(answer).await;
    let mut config = config();
    config.upstream_tls = Some(client_tls());
    // The fleet's own probes are not part of this: a replica that it does not know yet is the
    // last resort, and serves all the same.
    let router = Router::cold(config, vec![crate::spec(&fake)]).await;
    let mut client = connect(router.main).await;
    let body = br#"{"prompt":"no model is named, so every replica may take it"}"#;
    let answer = within(async {
        loop {
            let answer = client.post("/v1/completions", "", body).await;
            if answer.status == 200 {
                return answer;
            }
        }
    });
    assert_eq!(
        answer.await.header("x-onefill-replica"),
        Some(fake.url.as_str())
    );
    assert_eq!(fake.last().body, body);
}
