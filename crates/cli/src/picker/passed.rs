//! Flags of the reference that mean nothing here: taken, so that its manifests start this picker too, and
//! warned of.

/// One flag each, in the reference's words.
#[derive(Debug, clap::Args)]
pub(crate) struct Passed {
    /// Verbosity of the reference's logs
    #[arg(short, long, hide = true, value_name = "NUMBER")]
    v: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    zap_devel: Option<String>,
    #[arg(long, hide = true)]
    zap_encoder: Option<String>,
    #[arg(long, hide = true)]
    zap_log_level: Option<String>,
    #[arg(long, hide = true)]
    zap_stacktrace_level: Option<String>,
    #[arg(long, hide = true)]
    zap_time_encoding: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    tracing: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    enable_pprof: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    enable_grpc_stream_metrics: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    allow_experimental_plugins: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    ha_enable_leader_election: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    metrics_endpoint_auth: Option<String>,
    #[arg(long, hide = true)]
    metrics_cert_dir: Option<String>,
    #[arg(long, hide = true)]
    metrics_client_ca_file: Option<String>,
    #[arg(long, hide = true)]
    refresh_metrics_interval: Option<String>,
    #[arg(long, hide = true)]
    metrics_staleness_threshold: Option<String>,
    #[arg(long, hide = true)]
    refresh_prometheus_metrics_interval: Option<String>,
    #[arg(long, hide = true)]
    grpc_max_send_msg_size: Option<String>,
    #[arg(long, hide = true)]
    tls_cipher_suites: Option<String>,
}

impl Passed {
    /// A sentence for each that was given.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let logs = "--log-format and RUST_LOG set logs up";
        let load = "loads are read as often as they change (--load-interval-max)";
        let open = "whoever reaches the port reads metrics, which tell no prompt";
        let given = [
            ("-v", &self.v, logs),
            ("--zap-devel", &self.zap_devel, logs),
            ("--zap-encoder", &self.zap_encoder, logs),
            ("--zap-log-level", &self.zap_log_level, logs),
            ("--zap-stacktrace-level", &self.zap_stacktrace_level, logs),
            ("--zap-time-encoding", &self.zap_time_encoding, logs),
            ("--tracing", &self.tracing, "no traces are made"),
            (
                "--enable-pprof",
                &self.enable_pprof,
                "there are no profiles",
            ),
            (
                "--enable-grpc-stream-metrics",
                &self.enable_grpc_stream_metrics,
                "streams are always counted",
            ),
            (
                "--allow-experimental-plugins",
                &self.allow_experimental_plugins,
                "all plugins that are built in may be used",
            ),
            (
                "--ha-enable-leader-election",
                &self.ha_enable_leader_election,
                "all replicas pick at once: none has to lead",
            ),
            ("--metrics-endpoint-auth", &self.metrics_endpoint_auth, open),
            ("--metrics-cert-dir", &self.metrics_cert_dir, open),
            (
                "--metrics-client-ca-file",
                &self.metrics_client_ca_file,
                open,
            ),
            (
                "--refresh-metrics-interval",
                &self.refresh_metrics_interval,
                load,
            ),
            (
                "--metrics-staleness-threshold",
                &self.metrics_staleness_threshold,
                load,
            ),
            (
                "--refresh-prometheus-metrics-interval",
                &self.refresh_prometheus_metrics_interval,
                "metrics are made when they are asked for",
            ),
            (
                "--grpc-max-send-msg-size",
                &self.grpc_max_send_msg_size,
                "no message is larger than a piece that came in",
            ),
            (
                "--tls-cipher-suites",
                &self.tls_cipher_suites,
                "the suites are those of TLS 1.3 and the strong ones of 1.2",
            ),
        ];
        let sentence = |(flag, value, why): (&str, &Option<String>, &str)| {
            value.as_ref()?;
            // What asks for no less than there is needs no word.
            let off = value.as_deref() == Some("false");
            (!off).then(|| format!("{flag} has no effect here: {why}"))
        };
        given.into_iter().filter_map(sentence).collect()
    }
}
