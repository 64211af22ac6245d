//! The configuration file of `onefill store`: who may come in, and to which namespace.
//!
//! ```toml
//! [[listener]]                  # beside those of the flags
//! door = "lm"                   # lm, resp or native
//! address = "0.0.0.0:65440"
//! namespace = "llama-8b-bf16-tp1"
//! block_bytes = 33554432        # blocks of another size are refused; any size without it
//! plain = true                  # without TLS, whatever the flags say
//!
//! [[user]]                      # AUTH over RESP; with one, nobody comes in without
//! name = "team-a"
//! password_file = "team-a.secret"
//! namespace = "team-a"
//!
//! [[tenant]]                    # tokens of the native protocol; with one, nobody comes in without
//! name = "team-a"
//! token_file = "team-a.token"
//! ```

use anyhow::{Context as _, bail};
use onefill_store::door::{User, Users};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// What the file holds.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) listener: Vec<Listener>,
    #[serde(default)]
    user: Vec<NamedUser>,
    #[serde(default)]
    tenant: Vec<Tenant>,
}

/// An address for clients.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listener {
    pub(super) door: Door,
    pub(super) address: String,
    pub(super) namespace: String,
    pub(super) block_bytes: Option<usize>,
    /// Without TLS, whatever the flags say: LMCache's `lm://` has none.
    #[serde(default)]
    pub(super) plain: bool,
}

/// What is spoken there.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Door {
    Lm,
    Resp,
    Native,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedUser {
    name: String,
    password_file: PathBuf,
    namespace: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tenant {
    name: String,
    token_file: PathBuf,
}

/// Reads the file.
pub(super) fn read(path: &Path) -> anyhow::Result<File> {
    let name = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("{name}"))?;
    toml::from_str(&text).with_context(|| format!("{name}"))
}

impl File {
    /// Users of AUTH. Files of passwords stand beside `folder`'s configuration.
    pub(super) fn users(&self, folder: &Path) -> anyhow::Result<Users> {
        let mut users = BTreeMap::new();
        for user in &self.user {
            plain(&user.namespace, &['#'])?;
            let made = User {
                password: secret(folder, &user.password_file)?,
                namespace: user.namespace.clone(),
            };
            if users.insert(user.name.clone(), made).is_some() {
                bail!("user {} is there twice", user.name);
            }
        }
        Ok(Users(users))
    }

    /// Tenants by their tokens.
    pub(super) fn tokens(&self, folder: &Path) -> anyhow::Result<BTreeMap<String, String>> {
        let mut tokens = BTreeMap::new();
        for tenant in &self.tenant {
            plain(&tenant.name, &['#', '/'])?;
            let token = secret(folder, &tenant.token_file)?;
            if tokens.insert(token, tenant.name.clone()).is_some() {
                bail!("tenant {} has another one's token", tenant.name);
            }
        }
        Ok(tokens)
    }
}

/// `SELECT` makes a namespace's name longer by `#`, a native client's choice a tenant's by `/`: a name
/// that holds them could be another one's.
fn plain(name: &str, forbidden: &[char]) -> anyhow::Result<()> {
    if name.is_empty() || name.contains(forbidden) {
        bail!("`{name}` is no name here: it is empty or holds one of {forbidden:?}");
    }
    Ok(())
}

/// The secret in a file.
pub(super) fn secret_in(file: &Path) -> anyhow::Result<String> {
    secret(Path::new(""), file)
}

/// A file's words, without the end of the line; an empty secret is none.
fn secret(folder: &Path, file: &Path) -> anyhow::Result<String> {
    let path = folder.join(file);
    let name = path.display();
    let text = std::fs::read_to_string(&path).with_context(|| format!("{name}"))?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => bail!("{name} is empty"),
        secret => Ok(secret.to_owned()),
    }
}
