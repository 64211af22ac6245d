"""A real Envoy and its configuration, as JSON (which is YAML too).

Environment: ONEFILL_ENVOY (the Envoy program).
"""

import json
import os

from loopback import LOGS, Program, free_ports, http, until

ENVOY = os.environ["ONEFILL_ENVOY"]
SERVICE = "envoy.service.ext_proc.v3.ExternalProcessor"
DESTINATION = "x-gateway-destination-endpoint"

EXTENSION = "type.googleapis.com/envoy.extensions."
H2 = {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": EXTENSION + "upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
}


def endpoints(name, addresses):
    def one(address):
        host, port = address.rsplit(":", 1)
        return {"endpoint": {"address": {"socket_address": {"address": host, "port_value": int(port)}}}}

    return {"cluster_name": name, "endpoints": [{"lb_endpoints": [one(each) for each in addresses]}]}


def picker_cluster(name, port, tls=False, watched=False, host=None):
    """The picker on loopback, or those that `host` stands for."""
    cluster = {
        "name": name, "type": "STRICT_DNS" if host else "STATIC", "connect_timeout": "1s",
        "lb_policy": "LEAST_REQUEST",
        "typed_extension_protocol_options": H2,
        "load_assignment": endpoints(name, [f"{host or '127.0.0.1'}:{port}"]),
    }  # fmt: skip
    if tls:
        context = EXTENSION + "transport_sockets.tls.v3.UpstreamTlsContext"
        cluster["transport_socket"] = {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {"@type": context, "common_tls_context": {"validation_context": {}}},
        }
    if watched:
        cluster["common_lb_config"] = {"healthy_panic_threshold": {"value": 0}}
        cluster["health_checks"] = [{
            "timeout": "1s", "interval": "0.2s", "no_traffic_interval": "0.2s",
            "unhealthy_threshold": 1, "healthy_threshold": 1,
            "grpc_health_check": {"service_name": SERVICE},
        }]  # fmt: skip
    return cluster


def original_dst():
    """The cluster of llm-d's standalone mode and of Envoy AI gateway: the header says where."""
    return {
        "name": "original_dst", "type": "ORIGINAL_DST", "connect_timeout": "5s",
        "lb_policy": "CLUSTER_PROVIDED",
        "original_dst_lb_config": {"use_http_header": True, "http_header_name": DESTINATION},
    }  # fmt: skip


def override_host(name, addresses):
    """The cluster of other gateways: metadata say where, in order of preference."""
    policies = EXTENSION + "load_balancing_policies."
    fallback = {"@type": policies + "round_robin.v3.RoundRobin"}
    config = {
        "@type": policies + "override_host.v3.OverrideHost",
        "override_host_sources": [{"metadata": {"key": "envoy.lb", "path": [{"key": DESTINATION}]}}],
        "selected_host_key": {"key": "envoy.lb", "path": [{"key": DESTINATION + "-served"}]},
        "fallback_policy": {"policies": [{"typed_extension_config": {
            "name": "envoy.load_balancing_policies.round_robin", "typed_config": fallback}}]},
    }  # fmt: skip
    policy = {"name": "envoy.load_balancing_policies.override_host", "typed_config": config}
    return {
        "name": name, "type": "STATIC", "connect_timeout": "1s",
        "load_balancing_policy": {"policies": [{"typed_extension_config": policy}]},
        "load_assignment": endpoints(name, addresses),
    }  # fmt: skip


def listener(name, port, cluster, picker, mode="FULL_DUPLEX_STREAMED", subset=None, open_=False, strip=False,
             host=None):  # fmt: skip
    """Everything to one cluster, or what `host` (of a route's configuration) says."""
    ext_proc = {
        "@type": EXTENSION + "filters.http.ext_proc.v3.ExternalProcessor",
        "failure_mode_allow": open_,
        "grpc_service": {"envoy_grpc": {"cluster_name": picker}, "timeout": "10s"},
        "processing_mode": {
            "request_header_mode": "SEND", "response_header_mode": "SEND",
            "request_body_mode": mode, "response_body_mode": mode,
            "request_trailer_mode": "SEND", "response_trailer_mode": "SEND",
        },
        "message_timeout": "100s",
        "metadata_options": {
            "forwarding_namespaces": {"untyped": ["envoy.lb.subset_hint", "envoy.lb"]},
            "receiving_namespaces": {"untyped": ["envoy.lb"]},
        },
    }  # fmt: skip
    filters = [{"name": "envoy.filters.http.ext_proc", "typed_config": ext_proc}]
    if subset is not None:
        hint = {"x-gateway-destination-endpoint-subset": subset}
        filters.insert(0, {"name": "envoy.filters.http.set_metadata", "typed_config": {
            "@type": EXTENSION + "filters.http.set_metadata.v3.Config",
            "metadata": [{"metadata_namespace": "envoy.lb.subset_hint", "value": hint}]}})  # fmt: skip
    filters.append({"name": "envoy.filters.http.router", "typed_config": {
        "@type": EXTENSION + "filters.http.router.v3.Router"}})  # fmt: skip
    route = {"cluster": cluster, "timeout": "600s"}
    if cluster != "original_dst":
        route["retry_policy"] = {"retry_on": "connect-failure,reset,5xx", "num_retries": 2}
    host = host or {"name": "v", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": route}]}
    manager = {
        "@type": EXTENSION + "filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name, "route_config": {"virtual_hosts": [host]}, "http_filters": filters,
        "http_protocol_options": {"enable_trailers": True},
    }  # fmt: skip
    if strip:
        manager["early_header_mutation_extensions"] = [{
            "name": "envoy.http.early_header_mutation.header_mutation",
            "typed_config": {
                "@type": EXTENSION + "http.early_header_mutation.header_mutation.v3.HeaderMutation",
                "mutations": [{"remove": DESTINATION}],
            },
        }]  # fmt: skip
    chain = {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
    return {
        # llm-d's standalone value; what is to be buffered has to fit.
        "name": name, "per_connection_buffer_limit_bytes": 4 << 20 if mode == "BUFFERED" else 32768,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [chain]}],
    }  # fmt: skip


class Envoy(Program):
    """Listeners and clusters, running. `around` is put before the command."""

    def __init__(self, listeners, clusters, around=()):
        (admin,) = free_ports(1)
        self.admin = f"http://127.0.0.1:{admin}"
        config = {
            "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": admin}}},
            "static_resources": {"listeners": listeners, "clusters": clusters},
        }
        path = LOGS / "envoy.json"
        path.write_text(json.dumps(config, indent=1))
        command = [ENVOY, "-c", path, "--concurrency", "1", "-l", "warning", "--disable-hot-restart"]
        super().__init__("envoy", [*around, *command])
        self.start()
        until("envoy is ready", lambda: http("GET", self.admin + "/ready")[0] == 200)
