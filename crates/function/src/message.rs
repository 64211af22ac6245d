//! Messages of Crossplane's function protocol, `apiextensions.fn.proto.v1`, as far as this function
//! reads or writes them; what others send besides is skipped.
//!
//! ```text
//! service FunctionRunnerService { rpc RunFunction(RunFunctionRequest) returns (RunFunctionResponse) }
//! ```
//!
//! Crossplane calls v1 first, so that v1beta1, whose messages are the same, need not be served.
//! Source of names and numbers: `run_function.proto` of Crossplane's SDKs.

use prost::{Enumeration, Message, Oneof};
use prost_types::{Duration, Struct};
use std::collections::BTreeMap;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RunFunctionRequest {
    #[prost(message, tag = "1")]
    pub(crate) meta: Option<RequestMeta>,
    #[prost(message, tag = "2")]
    pub(crate) observed: Option<State>,
    #[prost(message, tag = "3")]
    pub(crate) desired: Option<State>,
    #[prost(message, tag = "4")]
    pub(crate) input: Option<Struct>,
    #[prost(message, tag = "5")]
    pub(crate) context: Option<Struct>,
    #[prost(btree_map = "string, message", tag = "8")]
    pub(crate) required_resources: BTreeMap<String, Resources>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct RequestMeta {
    #[prost(string, tag = "1")]
    pub(crate) tag: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Resources {
    #[prost(message, repeated, tag = "1")]
    pub(crate) items: Vec<Resource>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct State {
    #[prost(message, tag = "1")]
    pub(crate) composite: Option<Resource>,
    #[prost(btree_map = "string, message", tag = "2")]
    pub(crate) resources: BTreeMap<String, Resource>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Resource {
    #[prost(message, tag = "1")]
    pub(crate) resource: Option<Struct>,
    #[prost(btree_map = "string, bytes", tag = "2")]
    pub(crate) connection_details: BTreeMap<String, Vec<u8>>,
    #[prost(enumeration = "Ready", tag = "3")]
    pub(crate) ready: i32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Enumeration)]
#[repr(i32)]
pub(crate) enum Ready {
    Unspecified = 0,
    True = 1,
    False = 2,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RunFunctionResponse {
    #[prost(message, tag = "1")]
    pub(crate) meta: Option<ResponseMeta>,
    #[prost(message, tag = "2")]
    pub(crate) desired: Option<State>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) results: Vec<Outcome>,
    #[prost(message, tag = "4")]
    pub(crate) context: Option<Struct>,
    #[prost(message, tag = "5")]
    pub(crate) requirements: Option<Requirements>,
    #[prost(message, repeated, tag = "6")]
    pub(crate) conditions: Vec<Condition>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct ResponseMeta {
    #[prost(string, tag = "1")]
    pub(crate) tag: String,
    #[prost(message, tag = "2")]
    pub(crate) ttl: Option<Duration>,
}

/// The protocol's `Result`.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Outcome {
    #[prost(enumeration = "Severity", tag = "1")]
    pub(crate) severity: i32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
    #[prost(string, optional, tag = "3")]
    pub(crate) reason: Option<String>,
    #[prost(int32, optional, tag = "4")]
    pub(crate) target: Option<i32>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Enumeration)]
#[repr(i32)]
pub(crate) enum Severity {
    Unspecified = 0,
    Fatal = 1,
    Warning = 2,
    Normal = 3,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Requirements {
    #[prost(btree_map = "string, message", tag = "2")]
    pub(crate) resources: BTreeMap<String, Selector>,
}

/// The protocol's `ResourceSelector`.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Selector {
    #[prost(string, tag = "1")]
    pub(crate) api_version: String,
    #[prost(string, tag = "2")]
    pub(crate) kind: String,
    #[prost(oneof = "Match", tags = "3")]
    pub(crate) matching: Option<Match>,
    #[prost(string, optional, tag = "5")]
    pub(crate) namespace: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Oneof)]
pub(crate) enum Match {
    #[prost(string, tag = "3")]
    Name(String),
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Condition {
    #[prost(string, tag = "1")]
    pub(crate) kind: String,
    #[prost(enumeration = "Status", tag = "2")]
    pub(crate) status: i32,
    #[prost(string, tag = "3")]
    pub(crate) reason: String,
    #[prost(string, optional, tag = "4")]
    pub(crate) message: Option<String>,
    #[prost(int32, optional, tag = "5")]
    pub(crate) target: Option<i32>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Enumeration)]
#[repr(i32)]
pub(crate) enum Status {
    Unspecified = 0,
    Unknown = 1,
    True = 2,
    False = 3,
}
