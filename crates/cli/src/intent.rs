//! `onefill xrd`, `onefill render`, `onefill explain`: what an `LLMInference` comes to, without a
//! cluster.

mod observed;
mod yaml;

use crate::{EXIT_USAGE, logs};
use anyhow::Context as _;
use clap::ValueEnum;
use onefill_control::{Composed, Input, Settings, Wrapping, XRD, compose};
use serde_json::{Value, json};
use std::{path::PathBuf, process::ExitCode};

/// What `onefill render` and `onefill explain` read.
#[derive(Debug, clap::Args)]
struct Files {
    /// LLMInferences, YAML or JSON; `-` for standard input
    #[arg(short, long, value_name = "FILE")]
    filename: PathBuf,
    /// The platform's settings: the function's input
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
}

/// Flags of `onefill render`.
#[derive(Debug, clap::Args)]
pub(crate) struct RenderArguments {
    #[command(flatten)]
    files: Files,
    /// Wrap manifests as provider-kubernetes Objects [default: where providerConfigName is set]
    #[arg(long, value_name = "WHEN", num_args = 0..=1, require_equals = true,
        default_missing_value = "always", value_enum)]
    wrap: Option<Wrap>,
    /// Objects as they are on the cluster, to render what follows
    #[arg(long, value_name = "FILE")]
    observed: Option<PathBuf>,
    /// Print the LLMInference's status and conditions as well
    #[arg(long)]
    status: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Wrap {
    Always,
    Never,
}

/// Flags of `onefill explain`.
#[derive(Debug, clap::Args)]
pub(crate) struct ExplainArguments {
    #[command(flatten)]
    files: Files,
}

/// `onefill xrd`.
pub(crate) fn xrd() -> ExitCode {
    logs::print(XRD);
    ExitCode::SUCCESS
}

/// `onefill render`.
pub(crate) fn render(arguments: &RenderArguments) -> anyhow::Result<ExitCode> {
    let wrapping = match arguments.wrap {
        None => Wrapping::AsWanted,
        Some(Wrap::Always) => Wrapping::Always,
        Some(Wrap::Never) => Wrapping::Never,
    };
    let observed = match &arguments.observed {
        Some(path) => yaml::read(path)?,
        None => Vec::new(),
    };
    each(&arguments.files, |xr, settings| {
        let mut xr = xr.clone();
        let composed = observed::compose_with(&mut xr, &observed, |xr, observed, found| {
            compose(&Input {
                composite: xr,
                observed,
                found,
                settings,
                wrapping,
            })
        })?;
        print(&xr, composed, arguments.status)
    })
}

/// `onefill explain`.
pub(crate) fn explain(arguments: &ExplainArguments) -> anyhow::Result<ExitCode> {
    let mut first = true;
    each(&arguments.files, |xr, settings| {
        let text = onefill_control::explain(xr, settings)?;
        logs::print(if first { "" } else { "\n" });
        logs::print(&text);
        first = false;
        Ok(())
    })
}

/// Does the same for each `LLMInference` of a file. Those that are refused are named, all of them, and
/// the others done.
fn each(
    files: &Files,
    mut what: impl FnMut(&Value, &Settings) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    let settings = match &files.settings {
        Some(path) => yaml::read(path)?.into_iter().next().unwrap_or(Value::Null),
        None => Value::Null,
    };
    let settings = Settings::read(&settings).context("--settings")?;
    let mut code = ExitCode::SUCCESS;
    for xr in yaml::read(&files.filename)? {
        if let Err(error) = what(&xr, &settings) {
            let name = xr["metadata"]["name"].as_str().unwrap_or("(no name)");
            logs::say(format_args!("onefill: {name}: {error:#}"));
            code = ExitCode::from(EXIT_USAGE);
        }
    }
    Ok(code)
}

fn print(xr: &Value, composed: Composed, status: bool) -> anyhow::Result<()> {
    for note in &composed.notes {
        logs::say(format_args!("{}", note.message));
    }
    let (told, conditions) = (composed.status, composed.conditions);
    for (key, resource) in composed.resources {
        logs::print(&yaml::document(&dressed(xr, &key, resource.object))?);
    }
    if !status {
        return Ok(());
    }
    let mut whole = xr.clone();
    whole["status"] = told.unwrap_or_else(|| json!({}));
    whole["status"]["conditions"] = conditions
        .iter()
        .map(|each| {
            json!({
                "type": each.kind,
                "status": if each.holds { "True" } else { "False" },
                "reason": each.reason,
                "message": each.message,
            })
        })
        .collect();
    logs::print(&yaml::document(&whole)?);
    Ok(())
}

/// What Crossplane adds to an `Object` of an `LLMInference`. Plain objects stay as they are: they are for
/// `kubectl apply`.
fn dressed(xr: &Value, key: &str, object: Value) -> Value {
    if object["kind"] != "Object" {
        return object;
    }
    let name = &xr["metadata"]["name"];
    let mut metadata = json!({
        "annotations": {"crossplane.io/composition-resource-name": key},
        "generateName": format!("{}-", name.as_str().unwrap_or_default()),
        "labels": {"crossplane.io/composite": name},
        "ownerReferences": [{
            "apiVersion": xr["apiVersion"],
            "blockOwnerDeletion": true,
            "controller": true,
            "kind": xr["kind"],
            "name": name,
            "uid": xr["metadata"]["uid"].as_str().unwrap_or_default(),
        }],
    });
    if let Some(namespace) = xr["metadata"]["namespace"].as_str() {
        metadata["namespace"] = json!(namespace);
    }
    json!({
        "apiVersion": object["apiVersion"],
        "kind": object["kind"],
        "metadata": metadata,
        "spec": object["spec"],
    })
}
